"""Walk-forward: nothing is known before it could be, and everything is the same however it is cut."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from bots.forecasts import FORECASTERS
from bots.forecasts.logistic import BLOCK, COVERED, HORIZON, MEMORY, RIDGE, TRAINING, labels, predict
from markets.series import VALUES, Candles
from tests.markets.conftest import made_candles, real_candles

LEAD = FORECASTERS["logistic"].lead
SPAN = BLOCK * 60_000
# The first block that can be predicted begins after so many candles.
START = 1_700_000_040_000 // SPAN * SPAN
FIRST = -(-math.ceil(COVERED * (TRAINING + MEMORY)) // BLOCK) * BLOCK
every_forecaster = pytest.mark.parametrize("slug", FORECASTERS)


def all_of(candles: Candles) -> np.ndarray:
    return np.ones(len(candles), bool)


def forecast(candles: Candles, slug: str = "logistic", wanted=None) -> np.ndarray:
    return FORECASTERS[slug].predict(candles, 60, all_of(candles) if wanted is None else wanted)


def kept(candles: Candles, keep) -> Candles:
    return Candles(*(getattr(candles, name)[keep] for name in ("time", *VALUES)))


def holed(seed: int, count: int = 4200) -> Candles:
    """Candles of which a few are missing."""
    random = np.random.default_rng(seed)
    return kept(made_candles(count, START, seed=seed), random.random(count) > 0.01)


def same(one, other) -> bool:
    return one.tobytes() == other.tobytes()


@every_forecaster
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), count=st.integers(2500, 4100))
def test_candles_that_come_later_change_nothing(slug, seed, count):
    """No look-ahead: neither are they missed when they are not there yet, nor does it matter what they are."""
    candles = holed(seed)
    count = min(count, len(candles))
    known = forecast(candles[:count], slug)
    assert (~np.isnan(known)).any()
    other = made_candles(len(candles) - count, int(candles.time[count - 1]) + 60_000, seed=seed + 1)
    for later in (candles[count:], other):
        assert same(forecast(Candles.joined([candles[:count], later]), slug)[:count], known)


@every_forecaster
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), at=st.integers(2800, 4000))
def test_one_candle_more_with_its_lead_is_the_same_as_all_at_once(slug, seed, at):
    candles = holed(seed)
    at = min(at, len(candles) - 1)
    since = np.searchsorted(candles.time, candles.time[at] - FORECASTERS[slug].lead * 60_000)
    part = candles[int(since) : at + 1]
    wanted = np.arange(len(part)) == len(part) - 1
    found = forecast(part, slug, wanted)
    assert np.isnan(found[:-1]).all()
    assert same(found[-1:], forecast(candles, slug)[at : at + 1])


@every_forecaster
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_it_gives_probabilities_for_what_is_wanted_alone(slug, seed):
    candles = holed(seed)
    wanted = np.random.default_rng(seed).random(len(candles)) < 0.3
    found, whole = forecast(candles, slug, wanted), forecast(candles, slug)
    assert same(found, np.where(wanted, whole, np.nan))
    known = whole[~np.isnan(whole)]
    assert ((known >= 0.0) & (known <= 1.0)).all()


def test_the_first_block_that_is_predicted_has_its_training_before_it():
    found = forecast(made_candles(FIRST + 500, START))
    assert np.isnan(found[:FIRST]).all()
    assert not np.isnan(found[FIRST:]).any()


def test_a_new_feed_brings_enough():
    assert LEAD < 2880


def test_too_few_candles_of_a_training_give_nothing():
    whole = made_candles(3200, START)
    sparse = kept(whole, np.random.default_rng(1).random(3200) < 0.8)
    assert np.isnan(forecast(sparse)).all()
    assert np.isnan(forecast(whole[:1000])).all()
    assert forecast(Candles.empty()).size == 0


def test_a_price_that_never_moves_teaches_nothing():
    whole = made_candles(3200, START)
    flat = replace(whole, **{name: np.full(3200, 100.0) for name in ("open", "high", "low", "close")})
    assert np.isnan(forecast(flat)).all()


def test_labels_look_ahead_by_the_horizon_alone_and_over_no_gap():
    candles = made_candles(40, START)
    expected = [float(candles.close[i + HORIZON] > candles.close[i]) for i in range(35)]
    assert labels(candles, 60)[:35].tolist() == expected
    assert np.isnan(labels(candles, 60)[35:]).all()
    gap = kept(candles, np.arange(40) != 20)
    assert np.flatnonzero(np.isnan(labels(gap, 60))).tolist() == [15, 16, 17, 18, 19, 34, 35, 36, 37, 38]


def test_no_label_reaches_into_the_block_that_is_predicted():
    """The closes of a block change no prediction of its first candle but by that candle itself."""
    candles = made_candles(FIRST + BLOCK, START)
    falling = candles.close.copy()
    falling[FIRST + 1 :] *= 0.5
    changed = replace(candles, close=falling, low=candles.low * 0.4)
    low = np.where(np.arange(len(candles)) > FIRST, changed.low, candles.low)
    found = forecast(replace(changed, low=low))
    assert same(found[: FIRST + 1], forecast(candles)[: FIRST + 1])


def plain_features(candles: Candles) -> list[list[float] | None]:
    """The features of each candle in loops: five returns, and Wilder's and plain averages by their definitions."""
    close, high, low = candles.close.tolist(), candles.high.tolist(), candles.low.tolist()
    up = [max(b - a, 0.0) for a, b in pairwise(close)]
    down = [max(a - b, 0.0) for a, b in pairwise(close)]
    true = [
        max(highest, before) - min(lowest, before)
        for highest, lowest, before in zip(high[1:], low[1:], close, strict=False)
    ]
    rows: list[list[float] | None] = [None] * len(close)
    ups, downs, ranges = (sum(values[:14]) / 14 for values in (up, down, true))
    for i in range(15, len(close)):
        ups, downs, ranges = (
            (13 * average + values[i - 1]) / 14 for average, values in ((ups, up), (downs, down), (ranges, true))
        )
        if i >= MEMORY:
            returns = [close[i - lag] / close[i - lag - 1] - 1 for lag in range(5)]
            averages = [sum(close[i - period + 1 : i + 1]) / period / close[i] for period in (20, 50)]
            rows[i] = [*returns, 100 * ups / (ups + downs), *averages, ranges / close[i]]
    return rows


def plain_prediction(candles: Candles, first: int, at: int) -> float:
    """Of the candle `at` in the block that begins at `first`, by a general minimiser."""
    begin = max(0, first - TRAINING - MEMORY)
    rows, close = plain_features(candles[begin:]), candles.close[begin:].tolist()
    first, at = first - begin, at - begin
    pairs = [(rows[i], close[i + HORIZON] > close[i]) for i in range(first - HORIZON) if rows[i] is not None]
    x, y = np.array([row for row, _ in pairs]), np.array([rise for _, rise in pairs])
    mean, scale = x.mean(axis=0), x.std(axis=0)
    x = (x - mean) / scale

    def loss(weights):
        odds = weights[0] + x @ weights[1:]
        total = np.logaddexp(0, np.where(y, -odds, odds)).sum() + RIDGE / 2 * (weights[1:] ** 2).sum()
        pull = 1 / (1 + np.exp(-odds)) - y
        return total, np.array([pull.sum(), *(pull @ x + RIDGE * weights[1:])])

    found = minimize(loss, np.zeros(10), jac=True, method="BFGS", options={"gtol": 1e-6}).x
    return 1 / (1 + math.exp(-(found[0] + (np.array(rows[at]) - mean) / scale @ found[1:])))


def test_it_agrees_with_plain_loops_and_a_general_minimiser():
    candles = made_candles(FIRST + 2 * BLOCK, START)
    found = forecast(candles)
    for first, at in ((FIRST, FIRST), (FIRST, FIRST + 17), (FIRST + BLOCK, FIRST + 2 * BLOCK - 1)):
        assert found[at] == pytest.approx(plain_prediction(candles, first, at), abs=1e-6)


def test_it_agrees_on_real_candles():
    candles = real_candles("binance_BTCUSDT_1h_2024.csv.gz")
    span = BLOCK * 3_600_000
    first = int(np.searchsorted(candles.time, (candles.time[-1] // span) * span))
    found = predict(candles, 3600, all_of(candles))
    assert found[-1] == pytest.approx(plain_prediction(candles, first, len(candles) - 1), abs=1e-6)


def test_it_learns_what_there_is_to_learn():
    """Prices that swing with a period of ten candles are told from their returns."""
    whole = made_candles(4000, START)
    close = 100 + np.sin(np.arange(4000) / 10 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.05, 4000)
    candles = replace(whole, open=close, close=close, high=close + 0.1, low=close - 0.1)
    found, rises = forecast(candles), labels(candles, 60)
    judged = ~np.isnan(found) & ~np.isnan(rises)
    assert ((found > 0.5) == rises)[judged].mean() > 0.9
