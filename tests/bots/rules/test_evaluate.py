from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.rules.evaluate import STRIP, lead, signals, signals_and_values
from bots.rules.parse import parse
from bots.rules.tree import Column, Compare, Constant, Value
from markets.benchmarks.walk import random_walk
from markets.indicators import compute
from markets.series import Candles, resample
from tests.markets.conftest import made_candles
from tests.markets.test_blocks import holed

MINUTE = 60_000
TEXTS = (
    "sma(10) crosses above sma(50)",
    "close > ema(20)@5m or not macd.histogram < 0",
    "rsi(14) < 40 and close crosses below bollinger.lower(20, 2)",
    "atr(14)@15m / close > 0.001",
    "ema(30) crosses above close@1h",
)


def closes(*values, start=0):
    values = np.array(values, float)
    time = start + np.arange(values.size, dtype=np.int64) * MINUTE
    return Candles(time, values, values, values, values, values * 0)


def true_at(text, candles, timeframe=60):
    return np.flatnonzero(signals([parse(text)], candles, timeframe)).tolist()


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("close > 2", [1, 2, 3, 2], [2]),
        ("close >= 2", [1, 2, 3, 2], [1, 2, 3]),
        ("close == 2", [1, 2, 3, 2], [1, 3]),
        ("close != 2", [1, 2, 3, 2], [0, 2]),
        ("not close < 2", [1, 2, 3, 2], [1, 2, 3]),
        ("close crosses above 2", [1, 2, 3, 2, 2, 3, 4], [2, 5]),
        ("close crosses below 2", [3, 2, 1, 1, 3, 1], [2, 5]),
        ("close crosses above 2", [3, 3], []),
        ("not close crosses above 2", [1, 3, 4], [0, 2]),
        ("2 crosses above close", [3, 1], [1]),
        ("close > 1 and close < 3", [1, 2, 3], [1]),
        ("close < 2 or close > 2", [1, 2, 3], [0, 2]),
        ("not (close < 2 or close > 2)", [1, 2, 3], [1]),
        ("(close + 1) * 2 - 4 / 2 > 4", [1, 2, 3], [2]),
        ("-close < -2", [1, 2, 3], [2]),
        pytest.param("sma(3) > 1", [2, 2, 2, 2], [2, 3], id="warming up is not known"),
        pytest.param("not sma(3) > 3", [2, 2, 2, 2], [2, 3], id="nor is its negation"),
        pytest.param("not sma(3) == 3", [2, 2, 2, 2], [2, 3], id="nor that it is another"),
        pytest.param("sma(3) != 3", [2, 2, 2, 2], [2, 3], id="nor that it is not equal"),
        pytest.param("sma(3) > 1 or close > 1", [2, 2], [0, 1], id="one known side is enough for or"),
        pytest.param("not (sma(3) > 1 and close > 2)", [2, 2], [0, 1], id="and for not and"),
        pytest.param("close / volume > 0 or not close / volume > 0", [2, 2], [], id="nothing is divided by zero"),
    ],
)
def test_rules_are_true_where_they_say(text, values, expected):
    assert true_at(text, closes(*values)) == expected


def test_crosses_are_seen_across_blocks_and_strips():
    candles = random_walk(2 * STRIP + 4_000, 7)
    middle = float(np.median(candles.close))
    rules = [parse(f"close crosses above {middle}"), parse(f"not close crosses below {middle}")]
    found = signals(rules, candles, 60)
    above, below = candles.close > middle, candles.close < middle
    rises, falls = above[1:] & ~above[:-1], below[1:] & ~below[:-1]
    assert rises.sum() > 10
    assert np.array_equal(found[1:] & 1 == 1, rises)
    assert np.array_equal(found[1:] & 2 == 2, ~falls)


def test_each_rule_has_its_bit():
    rules = [parse("close > 1"), None, parse("close > 2")]
    assert signals(rules, closes(1, 2, 3), 60).tolist() == [0, 1, 5]
    with pytest.raises(ValueError, match="rules must be at most 7, not 8"):
        signals([None] * 8, closes(1), 60)


def test_a_higher_timeframe_counts_from_its_close_on():
    assert true_at("close@5m > 4", closes(*range(1, 13))) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert true_at("close@5m crosses above 6", closes(*range(1, 13))) == [9]


def test_columns_beside_the_candles_can_be_named():
    rule = Compare(">", Column("prediction"), Constant(0.5))
    found = signals([rule], closes(1, 1, 1), 60, {"prediction": np.array([np.nan, 0.6, 0.5])})
    assert found.tolist() == [0, 1, 0]


def test_values_stand_beside_the_signals():
    candles = made_candles(300)
    sources = [Value("atr", (14,), "atr"), Column("close")]
    _, beside = signals_and_values([parse("close > 1")], sources, candles, 60)
    np.testing.assert_allclose(beside[:, 0], compute("atr", candles)["atr"], rtol=1e-9)
    assert beside[:, 1].tobytes() == candles.close.tobytes()


def reference(candles):
    """close > sma(7)@5m, in plain loops over Python floats."""
    five = resample(candles, 60, 300)
    found, rows = [], list(zip(five.time.tolist(), five.close.tolist(), strict=True))
    for time, close in zip(candles.time.tolist(), candles.close.tolist(), strict=True):
        closed = [price for begin, price in rows if begin + 300_000 <= time + MINUTE]
        found.append(len(closed) >= 7 and close > sum(closed[-7:]) / 7)
    return found


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_a_higher_timeframe_agrees_with_plain_loops(seed):
    candles = holed(600, seed)
    assert signals([parse("close > sma(7)@5m")], candles, 60).astype(bool).tolist() == reference(candles)


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 9000))
def test_a_worker_that_loads_only_the_lead_sees_what_a_backtest_sees(text, seed, cut):
    candles, rule = holed(12_000, seed), parse(text)
    cut = min(cut, len(candles) - 1)
    needed = max(0, cut - lead([rule], 60))
    assert signals([rule], candles[needed:], 60)[cut - needed :].tolist() == signals([rule], candles, 60)[cut:].tolist()


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), count=st.integers(1, 12_000))
def test_no_rule_looks_ahead(text, seed, count):
    candles, rule = holed(12_000, seed), parse(text)
    assert signals([rule], candles[:count], 60).tolist() == signals([rule], candles, 60)[:count].tolist()


def test_the_lead_covers_block_memory_and_the_bar_before():
    assert lead([parse("close > 1")], 60) == 2
    assert lead([parse("sma(10) crosses above sma(50)")], 60) == 4096 + 50 + 1
    assert lead([parse("close@1h > 1"), None], 60) == 3 * 60 + 1
    assert lead([parse("ema(50)@4h > 1")], 14_400) == 4096 + 600 + 1


@pytest.mark.parametrize(
    ("text", "timeframe", "sentence"),
    [
        ("close@1m > 1", 300, "close@1m must be of a longer timeframe than the bot's 5m."),
        (
            "rsi(100)@1h > 1",
            60,
            "rsi(100)@1h needs 136,261 candles of 1m before the first bar, and at most 100,000 are loaded: shorten it, "
            "or give the bot a longer timeframe.",
        ),
    ],
)
def test_what_cannot_be_loaded_gets_a_sentence(text, timeframe, sentence, monkeypatch):
    monkeypatch.setattr("bots.rules.pieces.MOST_LEAD", 100_000)
    with pytest.raises(ValueError, match="bot") as caught:
        lead([parse(text)], timeframe)
    assert str(caught.value) == sentence


def test_the_reference_rules_cross_as_often_as_agreed():
    walk = random_walk(525_600, 42)
    found = signals([parse("sma(10) crosses above sma(50)"), parse("sma(10) crosses below sma(50)")], walk, 60)
    assert np.count_nonzero(found == 1) == 7350
