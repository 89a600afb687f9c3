from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import django
import numba
import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, Steps, step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.management.commands._cycle import measure
from bots.management.commands._sweep import measure_sweep
from bots.management.commands._walk import random_walk
from bots.performance import Curve, Trades, metrics
from markets.series import Candles

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


class Command(BaseCommand):
    help = "Measure: the engine against a bare compiled pass over the same candles; a worker's cycle over many bots."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", choices=["engine", "cycle"], help="What to measure.")
        parser.add_argument("--bots", type=int, default=10_000, help="Of the cycle.")
        parser.add_argument("--markets", type=int, default=500, help="Of the cycle.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, **options: Any) -> None:
        rows = engine_rows() if options["subject"] == "engine" else cycle_rows(options["bots"], options["markets"])
        versions = {"python": platform.python_version(), "django": django.__version__}
        versions |= {"numba": numba.__version__, "numpy": np.__version__}
        machine = {"system": platform.platform(), "cores": os.cpu_count()}
        if options["json"]:
            self.stdout.write(json.dumps({"machine": machine, "versions": versions, "rows": rows}))
            return
        for row in rows:
            ratio = f"{row['ratio']:>8.1f} of {row['baseline']:.3g} {row['unit']}" if row["baseline"] else ""
            self.stdout.write(f"{row['job']:<76} {row['value']:>8.2f} {row['unit']}  {ratio}")


def engine_rows() -> list[dict[str, Any]]:
    """A year of minutes through every kind, medians; the baseline is a bare pass over the same arrays."""
    candles, curve = random_walk(BARS, 42), np.empty(BARS)
    baseline = _median(lambda: bare_pass(candles.low, candles.high, candles.close, curve))
    rows = [_row(slug, params, candles, baseline) for slug, params in JOBS.items()]
    timed, weighed = measure_sweep(BARS, PAIRS, TERMS, MONEY)
    timed |= {"baseline": baseline, "ratio": timed["value"] / baseline}
    return [*rows, timed, {**weighed, "baseline": None, "ratio": None}]


def cycle_rows(bots: int, markets: int) -> list[dict[str, Any]]:
    if not (0 < markets <= bots <= 1_000_000):
        raise CommandError(f"bots must be at least markets ({markets}) and at most 1,000,000, not {bots}.")
    return [{**row, "baseline": None, "ratio": None} for row in measure(bots, markets)]


def _row(slug: str, params: dict[str, Any], candles: Candles, baseline: float) -> dict[str, Any]:
    kind = KINDS[slug]
    terms = replace(TERMS, margin=kind.margin)
    read = kind.validate(params, terms, MONEY)
    # Predictions are stored; making them is the work of models, not of the engine.
    columns = {name: np.random.RandomState(1).random_sample(len(candles)) for name in kind.columns(read)}

    def run() -> Steps:
        # All that an answer takes: what the kind observes (indicators and rules), trades, equity, figures.
        seen = kind.observe(read, candles, 60, columns) if kind.observe else NOTHING_SEEN
        steps = step(Engine.new(kind, read, terms, MONEY), candles, seen)
        metrics(Curve.of(candles, steps.equity, MONEY, 60), Trades.of(steps.trades))
        return steps

    trades = len(run().trades)
    value = _median(run)
    job = f"{slug}, {trades:,} trades, equity curve, metrics"
    return {"job": job, "value": value, "unit": "ms", "baseline": baseline, "ratio": value / baseline}


def _median(work: Callable[[], Any]) -> float:
    """Milliseconds, after one round that does not count."""
    work()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(1000.0 * (time.perf_counter() - began))
    return statistics.median(taken)
