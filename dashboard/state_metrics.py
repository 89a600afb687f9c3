"""How many bots, orders and late feeds there are: read when somebody asks, counted by nobody."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from django.db import DatabaseError
from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bots.models import Bot, Order, Run
from dashboard import readiness
from markets.models import Feed


class State(Collector):
    """Gauges out of the database, over all users; without it they are left out, and all else is told."""

    def collect(self) -> Iterable[Metric]:
        try:
            readiness.ask_database()
            found = list(self._found())
        except (psycopg.Error, DatabaseError):
            found = None
        yield GaugeMetricFamily(
            "orchestrator_database_up", "Whether the database answers.", value=float(found is not None)
        )
        yield from found or ()

    def _found(self) -> Iterable[Metric]:
        bots = GaugeMetricFamily("orchestrator_bots", "Bots by state.", labels=["status"])
        counts = dict(Bot.objects.values_list("status").annotate(Count("pk")))
        for status in Bot.Status.values:
            bots.add_metric([status], counts.get(status, 0))
        yield bots
        runs = GaugeMetricFamily("orchestrator_runs", "Runs that are not over, by mode.", labels=["mode"])
        for mode, count in Run.objects.exclude(status=Run.Status.STOPPED).values_list("mode").annotate(Count("pk")):
            runs.add_metric([mode], count)
        yield runs
        orders = Order.objects.filter(status=Order.Status.OPEN).count()
        yield GaugeMetricFamily("orchestrator_open_orders", "Orders on the books.", value=orders)
        yield from _feeds()


def _feeds() -> Iterable[Metric]:
    now = timezone.now()
    feeds = list(Feed.objects.alive().only("timeframe", "synced_to", "error"))
    lags = [now.timestamp() - feed.synced_to / 1000 - feed.timeframe for feed in feeds if feed.synced_to is not None]
    yield GaugeMetricFamily("orchestrator_feeds", "Feeds that are wanted.", value=len(feeds))
    yield GaugeMetricFamily("orchestrator_feeds_late", "Late ones.", value=sum(feed.late(now) for feed in feeds))
    yield GaugeMetricFamily("orchestrator_feeds_failing", "Failing ones.", value=sum(bool(f.error) for f in feeds))
    yield GaugeMetricFamily(
        "orchestrator_feed_lag_seconds", "Since the close of the last candle, at worst.", value=max(lags, default=0.0)
    )
