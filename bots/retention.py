"""How long history is kept. Trades and orders that traded are never deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from bots import predictions
from markets.models import Feed

EVENTS_KEPT = timedelta(days=180)
CANCELED_ORDERS_KEPT = timedelta(days=30)
FINE_EQUITY_KEPT = timedelta(days=14)
BATCH = 10_000
DAY_MS = 86_400_000

# Each deletes at most a batch and is repeated while it finds a full one: short locks on a busy table.
_EVENTS = """
DELETE FROM bots_event WHERE id IN (SELECT id FROM bots_event WHERE recorded_at < %(before)s LIMIT %(batch)s)
"""
_ORDERS = """
DELETE FROM bots_order WHERE id IN (
    SELECT id FROM bots_order WHERE status = 'canceled' AND filled = 0 AND updated_at < %(before)s LIMIT %(batch)s)
"""
# Older than two weeks the curve keeps the point of each full hour.
_EQUITY = """
DELETE FROM bots_equitysnapshot WHERE id IN (
    SELECT id FROM bots_equitysnapshot
    WHERE time < %(before)s AND date_trunc('hour', time) <> time LIMIT %(batch)s)
"""
_BOOKS = """
DELETE FROM bots_booksnapshot WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM bots_booksnapshot
    WHERE time < %(before)s AND date_trunc('hour', time) <> time LIMIT %(batch)s))
"""


def apply() -> int:
    """Delete what is older than its keeping time; returns how many rows went."""
    now = timezone.now()
    kept = (
        (_EVENTS, EVENTS_KEPT),
        (_ORDERS, CANCELED_ORDERS_KEPT),
        (_EQUITY, FINE_EQUITY_KEPT),
        (_BOOKS, FINE_EQUITY_KEPT),
    )
    return sum(_delete(statement, now - age) for statement, age in kept) + _forget_predictions()


def _forget_predictions() -> int:
    """Those of candles that their feeds do not keep."""
    feeds = Feed.objects.filter(enabled=True, keep_days__gt=0, synced_to__isnull=False)
    return sum(
        predictions.forget(feed.market_id, feed.timeframe, (feed.synced_to or 0) - feed.keep_days * DAY_MS)
        for feed in feeds
    )


def _delete(statement: str, before: datetime) -> int:
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"before": before, "batch": BATCH})
            deleted = int(cursor.rowcount)
        total += deleted
        if deleted < BATCH:
            return total
