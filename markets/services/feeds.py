"""Candles of the feeds: what is missing is fetched, checked, stored and told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from markets import candles as store
from markets import gateway, series
from markets.models import Exchange, Feed
from markets.series import Candles
from markets.services import prices, quality
from markets.surface import Gateway, GatewayError
from orchestrator import notify
from orchestrator.sole import sole

logger = logging.getLogger(__name__)

SHARD = 25  # feeds claimed at once, stored in one transaction
PAGE = 1000  # candles asked for at once
PAGES = 50  # asked for by one feed in one go; the rest comes with the next
FIRST_CANDLES = 2880  # history of a new feed: two days of 1m, more of longer timeframes
RETRY_SECONDS = 60  # a failing feed is not asked for more often
_LOCKS = 0x66656564  # namespace: one worker a feed
CONFIRM_MS = 900_000  # after its close a candle that came by a stream is asked for, to be sure of it


class Fetched(NamedTuple):
    """What one feed got: new closed candles, or the sentence of what went wrong after them.

    asked_to: open time, ms UTC, up to which the exchange was asked and has answered, if it was and did.
    """

    feed: Feed
    candles: Candles
    error: str
    asked_to: int | None = None


def sync(feed_ids: Iterable[int] | None = None) -> int:
    """Load and store the closed candles that enabled feeds miss, those given or all; rows written or changed.

    A feed that fails keeps a sentence in Feed.error until it succeeds, and stops no other. Feeds that another worker
    is at are skipped. Holes that an exchange leaves are not errors: candles.gaps() finds them in the rows.
    """
    feeds = Feed.objects.alive()
    if feed_ids is not None:
        feeds = feeds.filter(pk__in=list(feed_ids))
    return sum(_sync_exchange(exchange, feeds) for exchange in Exchange.objects.with_feeds(feeds))


def _sync_exchange(exchange: Exchange, feeds: QuerySet[Feed]) -> int:
    feeds = feeds.filter(market__exchange=exchange)
    try:
        source = gateway.connect(exchange)
    except GatewayError as error:
        feeds.update(error=str(error)[:300], checked_at=timezone.now())
        return 0
    ids = list(_due(feeds, source.now_ms()).order_by("pk").values_list("pk", flat=True))
    return sum(_sync_shard(source, ids[start : start + SHARD]) for start in range(0, len(ids), SHARD))


def _due(feeds: QuerySet[Feed], now: int) -> QuerySet[Feed]:
    """Feeds whose next candle has closed, or that were heard of for a while, but for those that have just failed."""
    behind = Q(synced_to=None)
    for timeframe in series.TIMEFRAME_NAMES:
        ends = now - timeframe * 1000
        late = Q(synced_to__lte=ends - timeframe * 1000) | Q(heard_from__lte=ends - CONFIRM_MS)
        behind |= Q(late, timeframe=timeframe)
    recently = timezone.now() - timedelta(seconds=RETRY_SECONDS)
    return feeds.filter(behind).exclude(~Q(error="") & Q(checked_at__gt=recently))


def _sync_shard(source: Gateway, feed_ids: Sequence[int]) -> int:
    """No row is locked while the exchange is waited for; a worker that dies has done nothing, or all."""
    with sole(_LOCKS, feed_ids) as claimed:
        feeds = _due(Feed.objects.filter(pk__in=claimed), source.now_ms()).select_related("market").order_by("pk")
        return _keep_fetched([_fetch(source, feed) for feed in feeds])


@transaction.atomic
def _keep_fetched(results: Sequence[Fetched]) -> int:
    """Store what was fetched for feeds as they are now: a stream may have brought them further meanwhile."""
    feeds = Feed.objects.filter(pk__in=[result.feed.pk for result in results]).select_related("market")
    now = {feed.pk: feed for feed in feeds.select_for_update(of=("self",)).order_by("pk")}
    current = [result._replace(feed=now[result.feed.pk]) for result in results if result.feed.pk in now]
    for feed, _, _, asked_to in current:
        if asked_to is not None:
            feed.heard_from = _unconfirmed(feed, asked_to)
    return keep(current)


def keep(results: Sequence[Fetched]) -> int:
    """Store what claimed feeds got, and what it says of them; rows written or changed. In their transaction."""
    written = store.upsert_many((r.feed.market_id, r.feed.timeframe, r.candles) for r in results)
    _record(results)
    quality.inspect([(r.feed, r.candles) for r in results])
    return written


def _fetch(source: Gateway, feed: Feed) -> Fetched:
    """What the feed misses, page by page, up to the first failure."""
    step = feed.timeframe * 1000
    now = source.now_ms()
    since = _begin(feed, now)
    pages: list[Candles] = []
    error, asked_to = "", None
    try:
        for _ in range(PAGES):
            rows = source.fetch_ohlcv(feed.market.symbol, feed.timeframe, since, PAGE)
            page = Candles.from_rows(rows)
            series.check(page, feed.timeframe, since - step)
            pages.append(page)
            if not rows or (since := rows[-1][0] + step) + step > now:
                break
    except (GatewayError, series.BadCandle) as failure:
        error = str(failure)[:300]
        logger.warning("feed %s of %s: %s", feed.pk, feed.market.symbol, error)
    else:
        asked_to = since if any(len(page) for page in pages) else None
    return Fetched(feed, Candles.joined(pages), error, asked_to)


def _begin(feed: Feed, now: int) -> int:
    """The last one again, and those that were only heard of: they may have been revised since."""
    if feed.synced_to is None:
        return series.open_time(now, feed.timeframe) - FIRST_CANDLES * feed.timeframe * 1000
    return feed.synced_to if feed.heard_from is None else min(feed.heard_from, feed.synced_to)


def _unconfirmed(feed: Feed, asked_to: int) -> int | None:
    """From where on the feed's candles were heard of alone, now that those up to a time were asked for."""
    return asked_to if feed.heard_from is not None and asked_to <= (feed.synced_to or 0) else None


def _record(results: Sequence[Fetched]) -> None:
    fresh = []
    for feed, candles, error, _ in results:
        feed.checked_at, feed.error = timezone.now(), error
        if len(candles) and (feed.synced_to is None or candles.time[-1] > feed.synced_to):
            feed.synced_to = int(candles.time[-1])
            fresh.append(feed)
    Feed.objects.bulk_update([r.feed for r in results], ["checked_at", "error", "synced_to", "heard_from"])
    prices.record_from_candles(fresh)
    notify.changed(notify.market_topic(feed.market_id) for feed in fresh)
