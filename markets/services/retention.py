"""How long candles are kept."""

from __future__ import annotations

from markets import candles as store
from markets.models import Feed
from markets.services.quality import forget_notices

BATCH = 20_000


def apply_retention() -> int:
    """Delete candles of enabled feeds that are older than they keep (Feed.keeps_from); how many.

    Notices that are long over go too, and what is left of markets that are not there any more.
    """
    forget_notices()
    store.forget_strays()
    return sum(_forget(feed) for feed in Feed.objects.forgetting())


def _forget(feed: Feed) -> int:
    """In batches, each its own transaction, so that no lock is held for long."""
    deleted = 0
    while True:
        last = store.forget(feed.market_id, feed.timeframe, feed.keeps_from(), BATCH)
        deleted += last
        if last < BATCH:
            return deleted
