"""Logistic regression on lagged returns and indicators, walk-forward: a baseline for better models to beat.

Time is cut into blocks of BLOCK candles from the epoch on. A block is predicted by a model that was trained on the
TRAINING candles before its start, less an embargo of the horizon, so that no label reaches into the block (López de
Prado: Advances in Financial Machine Learning, 2018, 7.4). Indicators are computed over the block and its training
alone, so whoever has these candles has the same bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bots.forecasts.contract import Forecaster, Wanted
from bots.forecasts.regression import Regression, fit
from markets.blocks import blocks
from markets.indicators import compute, indicator
from markets.series import Candles, Column

HORIZON: Final = 5  # candles ahead
BLOCK: Final = 400  # candles that one training is for
TRAINING: Final = 2000  # candles; with the memory and a block less than a new feed brings
LAGS: Final = 5
RIDGE: Final = 1.0
COVERED: Final = 0.9  # part of its candles that a training must have
# Of those with one output, and their periods.
INDICATORS: Final = (("rsi", 14), ("sma", 20), ("sma", 50), ("atr", 14))
MEMORY: Final = max(indicator(name).memory({"period": period}) for name, period in INDICATORS)


def predict(candles: Candles, timeframe: int, wanted: Wanted) -> Column:
    found = np.full(len(candles), np.nan)
    for block in blocks(candles.time, timeframe, BLOCK, TRAINING + MEMORY):
        own = slice(block.first, block.end)
        if wanted[own].any() and block.first - block.lead >= COVERED * (TRAINING + MEMORY):
            values = _block(candles[block.lead : block.end], block.first - block.lead, timeframe)
            found[own] = np.where(wanted[own], values, np.nan)
    return found


def _block(candles: Candles, first: int, timeframe: int) -> Column:
    """Predictions for the candles from `first` on, by what those before it teach."""
    known = features(candles)
    model = _trained(candles[:first], known[:, :first], timeframe)
    return model.probability(known[:, first:]) if model else np.full(len(candles) - first, np.nan)


def _trained(candles: Candles, known: Column, timeframe: int) -> Regression | None:
    """None where only one outcome was ever seen."""
    rises = labels(candles, timeframe)
    usable = ~np.isnan(rises) & ~np.isnan(known).any(axis=0)
    usable[:MEMORY] = False
    outcomes = rises[usable]
    if not outcomes.size or outcomes.min() == outcomes.max():
        return None
    return fit(np.ascontiguousarray(known[:, usable]), outcomes, RIDGE)


def labels(candles: Candles, timeframe: int) -> Column:
    """1 where the close HORIZON candles later is higher, else 0; NaN where it is not among these, or after a gap."""
    found = np.full(len(candles), np.nan)
    rises = (candles.close[HORIZON:] > candles.close[:-HORIZON]).astype(np.float64)
    whole = candles.time[HORIZON:] - candles.time[:-HORIZON] == HORIZON * timeframe * 1000
    found[: len(rises)] = np.where(whole, rises, np.nan)
    return found


def features(candles: Candles) -> Column:
    """Shape (LAGS + indicators, n), NaN while warming up; each value follows from candles up to its own."""
    returns = np.full(len(candles) + LAGS, np.nan)
    returns[LAGS + 1 :] = candles.close[1:] / candles.close[:-1] - 1.0
    lagged = [returns[LAGS - lag : len(returns) - lag] for lag in range(LAGS)]
    return np.stack([*lagged, *(_indicator(candles, *entry) for entry in INDICATORS)])


def _indicator(candles: Candles, name: str, period: int) -> Column:
    """What is a price is told as a part of the close: the level of the price says nothing."""
    column = compute(name, candles, {"period": period})[name]
    return column if name == "rsi" else column / candles.close


FORECASTER = Forecaster(
    slug="logistic",
    label="Logistic regression",
    horizon=HORIZON,
    lead=BLOCK + TRAINING + MEMORY,
    predict=predict,
)
