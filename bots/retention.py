"""How long history is kept. Trades and orders that traded are never deleted."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from bots import predictions
from bots.forecasts import FORECASTERS
from bots.kinds import KINDS
from bots.models import Run
from markets.models import Feed

log = logging.getLogger(__name__)

EVENTS_KEPT = timedelta(days=180)
CANCELED_ORDERS_KEPT = timedelta(days=30)
FINE_EQUITY_KEPT = timedelta(days=14)
BATCH = 10_000

# Each deletes at most a batch and is repeated while it finds a full one: short locks on a busy table.
_EVENTS = """
DELETE FROM bots_event WHERE id IN (SELECT id FROM bots_event WHERE recorded_at < %(before)s LIMIT %(batch)s)
"""
# An exchange knows the client ids of a live run for good, so the run must know which ones it has given.
_ORDERS = """
DELETE FROM bots_order WHERE id IN (
    SELECT id FROM bots_order WHERE status = 'canceled' AND filled = 0 AND updated_at < %(before)s AND NOT EXISTS (
        SELECT FROM bots_run WHERE bots_run.id = run_id AND mode = 'live' AND bots_run.status <> 'stopped')
    LIMIT %(batch)s)
"""
# Older than two weeks the curve keeps the point of each full hour.
_EQUITY = """
DELETE FROM bots_equitysnapshot WHERE id IN (
    SELECT id FROM bots_equitysnapshot
    WHERE time < %(before)s AND date_trunc('hour', time) <> time LIMIT %(batch)s)
"""
_BACKTESTS = """
DELETE FROM bots_backtest WHERE id IN (SELECT id FROM bots_backtest WHERE finished_at < %(before)s LIMIT %(batch)s)
"""
_BOOKS = """
DELETE FROM bots_booksnapshot WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM bots_booksnapshot
    WHERE time < %(before)s AND date_trunc('hour', time) <> time LIMIT %(batch)s))
"""


def apply() -> int:
    """Delete what is older than its keeping time; returns how many rows went."""
    now = timezone.now()
    kept: tuple[tuple[str, timedelta], ...] = (
        (_EVENTS, EVENTS_KEPT),
        (_ORDERS, CANCELED_ORDERS_KEPT),
        (_EQUITY, FINE_EQUITY_KEPT),
        (_BOOKS, FINE_EQUITY_KEPT),
    )
    if settings.BACKTESTS_KEPT_DAYS:
        kept += ((_BACKTESTS, timedelta(days=settings.BACKTESTS_KEPT_DAYS)),)
    keep_what_runs_need()
    return sum(_delete(statement, now - age) for statement, age in kept) + _forget_predictions()


def keep_what_runs_need() -> None:
    """Tell the feeds from where on the runs that are not over need candles: those to come, and the lead before them."""
    needed: dict[tuple[int, int], int] = {}
    for run in Run.objects.exclude(status=Run.Status.STOPPED).only(
        "market_id", "timeframe", "kind", "params", "bar_time"
    ):
        key = (run.market_id, run.timeframe)
        needed[key] = min(needed.get(key, run.bar_time), run.bar_time - _lead(run) * run.timeframe * 1000)
    feeds = Feed.objects.filter(market__in={market for market, _ in needed}) | Feed.objects.exclude(needed_from=None)
    changed = []
    for feed in feeds:
        needed_from = needed.get((feed.market_id, feed.timeframe))
        if feed.needed_from != needed_from:
            feed.needed_from = needed_from
            changed.append(feed)
    Feed.objects.bulk_update(changed, ["needed_from"], batch_size=1000)


def _lead(run: Run) -> int:
    """Candles before the next that a run's kind is shown, and its models too."""
    try:
        kind = KINDS[run.kind]
        params = kind.read(run.params)
        lead = kind.lead(params, run.timeframe) if kind.lead else 0
        models = [FORECASTERS[model].lead for model in kind.columns(params)]
    except (ValueError, LookupError, TypeError) as error:
        # Its next step fails with the same reason and says so; what it needs is unknown.
        log.warning("run %s: %s", run.pk, error)
        return 0
    return lead + max(models, default=0)


def _forget_predictions() -> int:
    """Those of candles that their feeds do not keep."""
    feeds = Feed.objects.forgetting()
    return sum(predictions.forget(feed.market_id, feed.timeframe, feed.keeps_from()) for feed in feeds)


def _delete(statement: str, before: datetime) -> int:
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"before": before, "batch": BATCH})
            deleted = int(cursor.rowcount)
        total += deleted
        if deleted < BATCH:
            return total
