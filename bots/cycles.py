"""One cycle of a worker over all due runs, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias

from django.db.models import QuerySet
from django.utils import timezone

from bots import forecasting, halts
from bots.models import Run
from orchestrator.observability.metrics import CYCLE_RUNS, CYCLES, SIGNAL_LATENCY
from orchestrator.prepared import Given, Prepared

# Leads all due runs; after each commit tells when the candles of its feeds were stored; returns how many steps or turns
# were made.
Advance: TypeAlias = Callable[[Callable[[Iterable[datetime | None]], None]], int]

_OF_MODE = Prepared(lambda: Run.objects.filter(mode=Given("mode")).order_by().values_list("pk"))


def lead(mode: str, due: Callable[[], QuerySet[Run]], advance_due: Advance) -> int:
    """Predictions that the due runs are about to ask for, then the runs; returns how many steps or turns were made.

    Those of users who are not active are paused before, not led.
    Signal latency is from the moment a candle was stored until all that it caused was committed, once for a feed and
    transaction. Of a run that sees several candles at once, it is that of the last one.
    """
    if not _OF_MODE.between(0, 1, mode=mode):
        return 0  # what is due takes some joins, and most have no live run
    halts.pause_deactivated()
    began = time.perf_counter()
    forecasting.extend(due)
    latencies: list[float] = []

    def stored(candles: Iterable[datetime | None]) -> None:
        now = timezone.now()
        latencies.extend((now - at).total_seconds() for at in candles if at)

    moved = advance_due(stored)
    if moved:
        CYCLES.labels(mode).observe(time.perf_counter() - began)
        CYCLE_RUNS.labels(mode).inc(moved)
        for seconds in latencies:
            SIGNAL_LATENCY.observe(max(seconds, 0.0))
    return moved
