from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.indicators import INDICATORS, compute
from tests.markets.conftest import made_candles


def rolling(column, period):
    return np.lib.stride_tricks.sliding_window_view(column, period)


def led(column, length):
    """The column at the end of `length` values, NaN before."""
    return np.concatenate([np.full(length - len(column), np.nan), column])


def exponential(column, period):
    """Seeded by the mean of the first `period` values."""
    values = [np.mean(column[:period])]
    for x in column[period:]:
        values.append(values[-1] + (x - values[-1]) * 2 / (period + 1))
    return np.array(values)


def wilder(column, period):
    values = [np.mean(column[:period])]
    for x in column[period:]:
        values.append((values[-1] * (period - 1) + x) / period)
    return np.array(values)


def sma(c):
    return {"sma": rolling(c.close, 20).mean(axis=1)}


def ema(c):
    return {"ema": exponential(c.close, 20)}


def bollinger(c):
    middle, spread = rolling(c.close, 20).mean(axis=1), 2 * rolling(c.close, 20).std(axis=1)
    return {"upper": middle + spread, "middle": middle, "lower": middle - spread}


def rsi(c):
    moves = np.diff(c.close)
    gains, losses = wilder(np.maximum(moves, 0), 14), wilder(np.maximum(-moves, 0), 14)
    return {"rsi": 100 * gains / (gains + losses)}


def macd(c):
    # TA-Lib lets both averages begin where the slow one can.
    line = exponential(c.close[14:], 12) - exponential(c.close, 26)
    signal = exponential(line, 9)
    return {"macd": line[8:], "signal": signal, "histogram": line[8:] - signal}


def atr(c):
    before = c.close[:-1]
    true_range = np.maximum(c.high[1:], before) - np.minimum(c.low[1:], before)
    return {"atr": wilder(true_range, 14)}


REFERENCES = {"sma": sma, "ema": ema, "bollinger": bollinger, "rsi": rsi, "macd": macd, "atr": atr}


def test_every_indicator_has_a_reference():
    assert set(REFERENCES) == set(INDICATORS)


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(40, 300))
def test_values_are_those_of_the_textbook(name, seed, count):
    candles = made_candles(count, seed=seed)
    expected = REFERENCES[name](candles)
    found = compute(name, candles)
    assert list(found) == list(INDICATORS[name].outputs)
    for output, column in found.items():
        np.testing.assert_allclose(column, led(expected[output], count), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", INDICATORS)
def test_warm_up_says_how_many_candles_have_no_value(name):
    for column in compute(name, made_candles(100)).values():
        assert np.isnan(column[: INDICATORS[name].warm_up]).all()
        assert np.isfinite(column[INDICATORS[name].warm_up :]).all()


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=20)
@given(count=st.integers(1, 120), seed=st.integers(0, 100))
def test_later_candles_never_change_earlier_values(name, count, seed):
    whole = made_candles(120, seed=seed)
    for output, column in compute(name, whole[:count]).items():
        np.testing.assert_array_equal(column, compute(name, whole)[output][:count])


def test_no_candles_give_no_values():
    assert {name: len(column) for name, column in compute("macd", made_candles(0)).items()} == {
        "macd": 0,
        "signal": 0,
        "histogram": 0,
    }


def test_parameters_override_the_defaults_and_unknown_ones_are_named():
    candles = made_candles(50)
    np.testing.assert_allclose(
        compute("sma", candles, {"period": 5})["sma"][4:], rolling(candles.close, 5).mean(axis=1)
    )
    with pytest.raises(ValueError, match="sma takes period, not length"):
        compute("sma", candles, {"length": 5})
    with pytest.raises(ValueError, match=r"one of sma, .* not 'vwap'"):
        compute("vwap", candles)
