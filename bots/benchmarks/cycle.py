"""The cycle of a worker at scale: many paper runs, one closed candle each, on a database of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from statistics import median
from typing import Any
from unittest.mock import patch

from django.core.management.base import CommandError, CommandParser

from bots import runs
from bots.benchmarks import fleet
from bots.engine import programs, simulate
from bots.kinds.contract import Kind
from bots.models import Event, Order, Trade
from orchestrator.benchmarks import Row, own_database, row

FIRST_MS = 1_700_000_040_000
TIMEFRAME = 60
MONEY = Decimal(10_000)
CANDLES = 6  # the first one starts the runs and does not count


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=10_000)
    parser.add_argument("--markets", type=int, default=500)


def rows(options: dict[str, Any]) -> list[Row]:
    """What one candle of every market takes, as medians."""
    bots, markets = options["bots"], options["markets"]
    if not (0 < markets <= bots <= 1_000_000):
        raise CommandError(f"bots must be at least markets ({markets}) and at most 1,000,000, not {bots}.")
    with own_database():
        found = fleet.make(bots, markets, CANDLES)
        found.close()
        runs.advance_due()
        taken: dict[str, list[float]] = {"cycle": [], "stepping": []}
        for _ in range(1, CANDLES):
            found.close()
            with stopwatch() as stepping:
                began = time.perf_counter()
                moved = runs.advance_due()
                taken["cycle"].append(1000 * (time.perf_counter() - began))
            taken["stepping"].append(1000 * stepping[0])
            if moved != bots:
                raise RuntimeError(f"{moved} of {bots} runs saw the candle")
        stored = f"{Trade.objects.count():,} trades, {Order.objects.count():,} orders, {Event.objects.count():,} events"
    name = f"{bots:,} paper runs on {markets} markets, one candle"
    return [
        row(f"{name}, stored ({stored} in all)", median(taken["cycle"]), "ms"),
        row(f"{name}, the stepping in it", median(taken["stepping"]), "ms"),
    ]


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Seconds spent in the compiled loop while it is open."""
    spent, plain = [0.0], programs.program

    def timed(kind: Kind) -> Callable[..., tuple[int, int]]:
        call = plain(kind)

        def measured(*arguments: Any) -> tuple[int, int]:
            began = time.perf_counter()
            found = call(*arguments)
            spent[0] += time.perf_counter() - began
            return found

        return measured

    with patch.object(simulate, "program", timed):
        yield spent
