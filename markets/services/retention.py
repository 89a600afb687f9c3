"""How long candles are kept."""

from __future__ import annotations

from markets import candles as store
from markets.models import Feed
from markets.services.quality import forget_notices

DAY_MS = 86_400_000
BATCH = 20_000


def apply_retention() -> int:
    """Delete candles of enabled feeds that are more than keep_days older than the feed's last one; how many.

    Notices that are long over go too.
    """
    forget_notices()
    feeds = Feed.objects.filter(enabled=True, keep_days__gt=0, synced_to__isnull=False)
    return sum(_forget(feed) for feed in feeds)


def _forget(feed: Feed) -> int:
    """In batches, each its own transaction, so that no lock is held for long."""
    oldest = (feed.synced_to or 0) - feed.keep_days * DAY_MS
    deleted = 0
    while True:
        last = store.forget(feed.market_id, feed.timeframe, oldest, BATCH)
        deleted += last
        if last < BATCH:
            return deleted
