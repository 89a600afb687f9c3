"""Indicators of the stored candles: computed once per market and timeframe, kept in the cache and as snapshots."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence

from django.core.cache import cache
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from markets import candles as store
from markets.indicators import INDICATORS, compute, indicator
from markets.models import Feed, IndicatorSnapshot, Market
from markets.series import Candles, Column

logger = logging.getLogger(__name__)

TTL = 900
WINDOW = 1000  # candles a cached column covers
# Candles before the window: what a recursive indicator still remembers of anything older is below 1e-9 of it.
LEAD = 400

Columns = dict[str, Column]


def indicator_columns(
    market: Market, timeframe: int, names: Iterable[str], limit: int, last: int | None = None
) -> dict[str, dict[str, list[float | None]]]:
    """Indicator -> output -> values at the last `limit` stored candles, ascending, None while warming up.

    last: open time, ms UTC, of the last candle wanted, so that the values fit candles already read; else the newest.
    Read from what the worker left in the cache, computed when it is not there. Raises ValueError for an unknown name.
    """
    wanted = list(names)
    for name in wanted:
        indicator(name)
    if last is None:
        last = store.last_time(market.pk, timeframe)
    if last is None:
        return {name: {output: [] for output in INDICATORS[name].outputs} for name in wanted}
    found = _cached(market.pk, timeframe, last, wanted) if limit <= WINDOW else {}
    cold = [name for name in wanted if name not in found]
    if cold:
        found |= _computed(market.pk, timeframe, cold, max(limit, WINDOW), last)
        if limit <= WINDOW:
            _keep({_key(market.pk, timeframe, name, last): found[name] for name in cold})
    return {name: {output: _plain(column[-limit:]) for output, column in found[name].items()} for name in wanted}


def _plain(column: Column) -> list[float | None]:
    return [None if math.isnan(value) else value for value in column.tolist()]


def _key(market_id: int, timeframe: int, name: str, last: int) -> str:
    return f"indicator:{market_id}:{timeframe}:{name}:{last}"


def _cached(market_id: int, timeframe: int, last: int, names: Sequence[str]) -> dict[str, Columns]:
    keys = {_key(market_id, timeframe, name, last): name for name in names}
    try:
        found: dict[str, Columns] = cache.get_many(keys)
    except Exception as error:  # whatever the cache's backend raises: a page is worth more than its cache
        logger.warning("indicator cache cannot be read: %s", error)
        return {}
    return {keys[key]: columns for key, columns in found.items()}


def _keep(entries: Mapping[str, Columns]) -> None:
    try:
        cache.set_many(dict(entries), TTL)
    except Exception as error:  # as above
        logger.warning("indicator cache cannot be written: %s", error)


def _computed(market_id: int, timeframe: int, names: Iterable[str], window: int, last: int) -> dict[str, Columns]:
    candles = store.load(market_id, timeframe, end=last + 1, limit=window + LEAD)
    return {name: _columns(name, candles, window) for name in names}


def _columns(name: str, candles: Candles, window: int) -> Columns:
    # Copied, as a slice would carry the lead along into the cache.
    return {output: column[-window:].copy() for output, column in compute(name, candles).items()}


def compute_indicators() -> int:
    """Every indicator of every feed with a candle newer than its snapshots, into cache and snapshots; feeds done."""
    feeds = list(_stale_feeds())
    snapshots: list[IndicatorSnapshot] = []
    for feed in feeds:
        last = store.last_time(feed.market_id, feed.timeframe)
        if last is None:
            continue
        found = _computed(feed.market_id, feed.timeframe, INDICATORS, WINDOW, last)
        _keep({_key(feed.market_id, feed.timeframe, name, last): columns for name, columns in found.items()})
        snapshots += [_snapshot(feed, name, last, columns) for name, columns in found.items()]
    IndicatorSnapshot.objects.bulk_create(
        snapshots,
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["market", "timeframe", "name"],
        update_fields=["time", "values", "computed_at"],
    )
    return len(feeds)


def _stale_feeds() -> QuerySet[Feed]:
    """Feeds without a full set of snapshots of their last candle."""
    fresh = IndicatorSnapshot.objects.filter(
        market=OuterRef("market"), timeframe=OuterRef("timeframe"), time__gte=OuterRef("synced_to")
    )
    incomplete = Q()
    for name in INDICATORS:
        incomplete |= Q(~Exists(fresh.filter(name=name)))
    return Feed.objects.alive().filter(incomplete, synced_to__isnull=False).order_by("pk")


def _snapshot(feed: Feed, name: str, last: int, columns: Columns) -> IndicatorSnapshot:
    values = {output: _plain(column[-1:])[0] for output, column in columns.items()}
    return IndicatorSnapshot(
        market_id=feed.market_id,
        timeframe=feed.timeframe,
        name=name,
        time=last,
        values=values,
        computed_at=timezone.now(),
    )
