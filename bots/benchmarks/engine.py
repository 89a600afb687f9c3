"""The engine against a bare compiled pass over the same candles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from django.core.management.base import CommandParser

from bots.benchmarks.sweep import measure_sweep
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, Steps, step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.performance import Curve, Trades, metrics
from markets.benchmarks.walk import random_walk
from markets.series import Candles
from orchestrator.benchmarks import Row, median_ms, row

BARS = 525_600  # a year of minutes
ROUNDS = 7
PAIRS = 1_000  # of averages, in the sweep
MONEY = 1_000_000.0
TERMS = Terms(tick=0.01, lot=1e-8, maker=0.001, taker=0.001, fee_step=1e-8)
JOBS: dict[str, dict[str, Any]] = {
    "grid": {"lower": 14_000, "upper": 15_900, "lines": 20},
    "infinity_grid": {"lower": 12_000, "grid_profit": 1.0},
    "trailing": {},
    "dca": {"base_order": 50_000, "safety_order": 50_000},
    "accumulation": {"amount": 100, "interval": 3_600},
    "signal": {"long_entry": "sma(10) crosses above sma(50)", "long_exit": "sma(10) crosses below sma(50)"},
    "prediction": {"enter_above": 0.98, "exit_below": 0.02},
    "futures_grid": {"lower": 14_000, "upper": 15_900, "lines": 20, "leverage": 3},
    "futures_position": {"take_profit_1": 2, "stop_loss": 1, "positions": 0},
}


@numba.njit(cache=True)
def bare_pass(low: Any, high: Any, close: Any, curve: Any) -> int:
    """What no engine can do without: look at every bar's extremes and write its equity."""
    hits = 0
    for i in range(len(close)):
        if low[i] <= 0.0 or high[i] >= 1e300:
            hits += 1
        curve[i] = 1.0 + 2.0 * close[i]
    return hits


def add_arguments(parser: CommandParser) -> None:
    """Nothing can be chosen."""


def rows(options: dict[str, Any]) -> list[Row]:
    """A year of minutes through every kind, medians; the baseline is a bare pass over the same arrays."""
    candles, curve = random_walk(BARS, 42), np.empty(BARS)
    baseline = median_ms(lambda: bare_pass(candles.low, candles.high, candles.close, curve), ROUNDS)
    kinds = [_row(slug, params, candles, baseline) for slug, params in JOBS.items()]
    return kinds + measure_sweep(BARS, PAIRS, TERMS, MONEY, baseline)


def _row(slug: str, params: dict[str, Any], candles: Candles, baseline: float) -> Row:
    run = work(slug, params, candles)
    trades = len(run().trades)
    return row(f"{slug}, {trades:,} trades, equity curve, metrics", median_ms(run, ROUNDS), "ms", baseline)


def work(slug: str, params: dict[str, Any], candles: Candles) -> Callable[[], Steps]:
    """A kind over candles, with all that an answer takes."""
    kind = KINDS[slug]
    terms = replace(TERMS, margin=kind.margin)
    read = kind.validate(params, terms, MONEY)
    # Predictions are stored; making them is the work of models, not of the engine.
    columns = {name: np.random.RandomState(1).random_sample(len(candles)) for name in kind.columns(read)}

    def run() -> Steps:
        # What the kind observes (indicators and rules), trades, equity, figures.
        seen = kind.observe(read, candles, 60, columns) if kind.observe else NOTHING_SEEN
        steps = step(Engine.new(kind, read, terms, MONEY), candles, seen)
        metrics(Curve.of(candles, steps.equity, MONEY, 60), Trades.of(steps.trades))
        return steps

    return run
