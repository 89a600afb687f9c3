"""Holes in the candles of feeds: asked for once more, then declared. What sync asked for and did not get comes here."""

from __future__ import annotations

import logging

from django.db.models import F, QuerySet

from markets import candles as store
from markets import gaps, gateway
from markets.models import Exchange, Feed
from markets.services.backfill import LATE_MS, PAGE, Work, declare
from markets.surface import Gateway, GatewayError

logger = logging.getLogger(__name__)

REQUESTS = 100  # made of one exchange in one go; the rest comes with the next
PAGES = 50  # of one feed looked at in one go
DELAYS = (1, 2)  # seconds between tries: the next go comes within the hour


def repair_gaps() -> int:
    """Fill or declare the holes of enabled feeds; rows stored or changed.

    Each feed knows up to where it has none. Safe to do twice, and at once: rows are upserted, declarations too.
    """
    feeds = Feed.objects.alive().filter(synced_to__isnull=False)
    return sum(_repair_exchange(exchange, feeds) for exchange in Exchange.objects.with_feeds(feeds))


def _repair_exchange(exchange: Exchange, feeds: QuerySet[Feed]) -> int:
    rows = 0
    try:
        source = gateway.connect(exchange)
        most = source.requests + REQUESTS
        # Those that have waited longest first.
        waiting = F("repaired_to").asc(nulls_first=True)
        for feed in feeds.filter(market__exchange=exchange).select_related("market").order_by(waiting, "pk"):
            if source.requests >= most:
                break
            rows += _repair(feed, source)
    except GatewayError as error:
        # Its feeds fail too, and tell the user.
        logger.warning("holes in candles of %s: %s", exchange.slug, error)
    return rows


def _repair(feed: Feed, source: Gateway) -> int:
    step, now = feed.timeframe * 1000, source.now_ms()
    end = min((feed.synced_to or 0) + step, now - LATE_MS)
    start = feed.repaired_to
    if start is None:
        extent = store.extent(feed.market_id, feed.timeframe, 0, end)
        start = extent[0] if extent else end
    end = min(end - end % step, start + PAGES * PAGE * step)
    if start >= end:
        return 0
    holes = gaps.missing(feed.market_id, feed.timeframe, start, end)
    rows = Work(feed.market, feed.timeframe, source, earliest=start, delays=DELAYS).fill(holes)
    declare(feed.market, feed.timeframe, gaps.missing(feed.market_id, feed.timeframe, start, end), now)
    Feed.objects.filter(pk=feed.pk).update(repaired_to=end)
    return rows
