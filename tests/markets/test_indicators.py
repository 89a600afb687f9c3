from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.indicators import INDICATORS, compute
from orchestrator.home import PROJECT
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


def wma(c):
    weights = np.arange(1, 21)
    return {"wma": (rolling(c.close, 20) * weights).sum(axis=1) / weights.sum()}


def true_ranges(c):
    """Of every candle, the first without one before it."""
    before = np.concatenate([c.close[:1], c.close[:-1]])
    before[0] = c.low[0]
    return np.maximum(c.high, before) - np.minimum(c.low, before)


def adx(c):
    up, down = np.diff(c.high), -np.diff(c.low)
    moves = (np.where((up > down) & (up > 0), up, 0), np.where((down > up) & (down > 0), down, 0))

    def sums(column):
        """TA-Lib's way: the sum of the first n - 1 moves is the first of all, and loses a n-th with every candle."""
        values = [column[:13].sum()]
        for x in column[13:]:
            values.append(values[-1] * 13 / 14 + x)
        return np.array(values[1:])

    ranges = sums(true_ranges(c)[1:])
    plus, minus = (100 * sums(move) / ranges for move in moves)
    return {
        "adx": wilder(100 * np.abs(plus - minus) / (plus + minus), 14),
        "plus_di": plus[13:],
        "minus_di": minus[13:],
    }


def stochastic(c):
    lowest, highest = rolling(c.low, 14).min(axis=1), rolling(c.high, 14).max(axis=1)
    k = rolling(100 * (c.close[13:] - lowest) / (highest - lowest), 3).mean(axis=1)
    return {"k": k[2:], "d": rolling(k, 3).mean(axis=1)}


def cci(c):
    windows = rolling((c.high + c.low + c.close) / 3, 20)
    mean = windows.mean(axis=1)
    return {"cci": (windows[:, -1] - mean) / (0.015 * np.abs(windows - mean[:, None]).mean(axis=1))}


def obv(c):
    signed = np.sign(np.diff(c.close)) * c.volume[1:]
    return {"obv": rolling(signed, 100).sum(axis=1)}


def vwap(c):
    typical = (c.high + c.low + c.close) / 3
    return {"vwap": rolling(typical * c.volume, 24).sum(axis=1) / rolling(c.volume, 24).sum(axis=1)}


def donchian(c):
    upper, lower = rolling(c.high, 20).max(axis=1), rolling(c.low, 20).min(axis=1)
    return {"upper": upper, "middle": (upper + lower) / 2, "lower": lower}


def keltner(c):
    middle = exponential((c.high + c.low + c.close) / 3, 20)
    width = 2 * wilder(true_ranges(c)[10:], 10)  # TA-Lib lets both begin at the same candle
    return {"upper": middle + width, "middle": middle, "lower": middle - width}


def supertrend(c):
    width, middle = 3 * wilder(true_ranges(c)[1:], 10), ((c.high + c.low) / 2)[10:]
    close, lines, rising, upper, lower = c.close[10:], [], True, 0.0, 0.0
    for i, (above, below) in enumerate(zip(middle + width, middle - width, strict=True)):
        if i:
            above = min(above, upper) if close[i - 1] <= upper else above
            below = max(below, lower) if close[i - 1] >= lower else below
        rising = close[i] >= below if rising else close[i] > above
        upper, lower = above, below
        lines.append(lower if rising else upper)
    return {"supertrend": np.array(lines)}


def ichimoku(c):
    def middle(period):
        values = (rolling(c.high, period).max(axis=1) + rolling(c.low, period).min(axis=1)) / 2
        return led(values, len(c))

    conversion, base, span = middle(9), middle(26), middle(52)
    cloud = {"span_a": ((conversion + base) / 2)[51:-25], "span_b": span[51:-25]}
    return {"conversion": conversion[76:], "base": base[76:]} | cloud


REFERENCES = {
    "sma": sma, "ema": ema, "wma": wma, "bollinger": bollinger, "rsi": rsi, "macd": macd, "atr": atr, "adx": adx,
    "stochastic": stochastic, "cci": cci, "obv": obv, "vwap": vwap, "donchian": donchian, "keltner": keltner,
    "supertrend": supertrend, "ichimoku": ichimoku,
}  # fmt: skip


def test_every_indicator_has_a_reference():
    assert set(REFERENCES) == set(INDICATORS)


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(110, 300))
def test_values_are_those_of_the_textbook(name, seed, count):
    candles = made_candles(count, seed=seed)
    expected = REFERENCES[name](candles)
    found = compute(name, candles)
    assert list(found) == list(INDICATORS[name].outputs)
    for output, column in found.items():
        np.testing.assert_allclose(column, led(expected[output], count), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", INDICATORS)
def test_warm_up_says_how_many_candles_have_no_value(name):
    for column in compute(name, made_candles(150)).values():
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
    with pytest.raises(ValueError, match=r"one of sma, .* not 'vibes'"):
        compute("vibes", candles)


def test_an_average_by_volume_is_within_the_prices_where_nothing_is_traded():
    candles = made_candles(120)
    candles.volume[:] = np.where(np.arange(120) % 60 < 5, 1e9 / 3, 0.0)
    typical = (candles.high + candles.low + candles.close) / 3
    column = compute("vwap", candles)["vwap"][23:]
    assert (column >= rolling(typical, 24).min(axis=1)).all()
    assert (column <= rolling(typical, 24).max(axis=1)).all()


def test_prices_that_never_move_give_numbers():
    flat = made_candles(150)
    for column in (flat.open, flat.high, flat.low, flat.close):
        column[:] = 100.0
    for name, one in INDICATORS.items():
        for column in compute(name, flat).values():
            assert np.isfinite(column[one.warm_up :]).all(), name


COMPUTING = """
import sys
from markets.indicators import INDICATORS, compute
from markets.series import Candles
candles = Candles.from_rows([(60_000 * bar, 100.0, 101.0, 99.0, 100.0, 1.0) for bar in range(300)])
for name in INDICATORS:
    compute(name, candles)
assert "talib" in sys.modules
assert not {"pandas", "polars"} & sys.modules.keys()
import pandas
"""


def test_to_compute_loads_no_pandas_which_may_yet_be_loaded_afterwards():
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", COMPUTING], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
