"""One cycle of a worker over all due runs, measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from bots import forecasting
from bots.models import Run
from markets.models import Feed
from orchestrator.observability.metrics import CYCLE_RUNS, CYCLES, SIGNAL_LATENCY

# Leads all due runs, tells after each commit, returns how many steps or turns were made.
Advance: TypeAlias = Callable[[Callable[[], None]], int]


def lead(mode: str, due: Callable[[], QuerySet[Run]], advance_due: Advance) -> int:
    """Predictions that the due runs are about to ask for, then the runs; returns how many steps or turns were made.

    Signal latency is from the moment a candle was stored until all that it caused in this cycle was: that of the last
    run counts for all, so it is never told better than it was. That nothing else is due is found out after it.
    """
    if not Run.objects.filter(mode=mode).exists():
        return 0  # what is due takes some joins, and most have no live run
    began = time.perf_counter()
    checked = _checked(due)
    forecasting.extend(due())
    stored: list[datetime] = []
    moved = advance_due(lambda: stored.append(timezone.now()))
    if moved:
        CYCLES.labels(mode).observe(time.perf_counter() - began)
        CYCLE_RUNS.labels(mode).inc(moved)
        for at in checked:
            SIGNAL_LATENCY.observe(max((stored[-1] - (at or stored[-1])).total_seconds(), 0.0))
    return moved


def _checked(due: Callable[[], QuerySet[Run]]) -> list[datetime | None]:
    """When the feeds that due runs wait for got their last candle."""
    with connection.cursor() as cursor:
        cursor.execute(*_asking_feeds(due))
        return [at for (at,) in cursor.fetchall()]


@cache
def _asking_feeds(due: Callable[[], QuerySet[Run]]) -> tuple[str, tuple[Any, ...]]:
    """The statement of _checked(): it hangs on nothing, and to put it together takes 9 ms, longer than its answer."""
    asking = due().filter(market=OuterRef("market"), timeframe=OuterRef("timeframe"))
    return Feed.objects.filter(Exists(asking.order_by())).values_list("checked_at").query.sql_with_params()
