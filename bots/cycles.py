"""One cycle of a worker over all due runs, measured."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from bots import forecasting
from bots.models import Run
from markets.models import Feed
from orchestrator.observability.metrics import CYCLE_RUNS, CYCLES, SIGNAL_LATENCY


def lead(mode: str, due: Callable[[], QuerySet[Run]], advance_due: Callable[[], int]) -> int:
    """Predictions that the due runs are about to ask for, then the runs; returns how many steps or turns were made.

    Signal latency is from the moment a candle was stored until all that it caused in this cycle was: that of the last
    run counts for all, so it is never told better than it was.
    """
    began = time.perf_counter()
    asking = due().filter(market=OuterRef("market"), timeframe=OuterRef("timeframe"))
    feeds = list(Feed.objects.filter(Exists(asking.order_by())).only("checked_at"))
    forecasting.extend(due())
    moved = advance_due()
    if moved:
        CYCLES.labels(mode).observe(time.perf_counter() - began)
        CYCLE_RUNS.labels(mode).inc(moved)
        now = timezone.now()
        for feed in feeds:
            SIGNAL_LATENCY.observe(max((now - (feed.checked_at or now)).total_seconds(), 0.0))
    return moved
