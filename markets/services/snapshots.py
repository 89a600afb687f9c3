"""Indicators of the feeds, computed as candles close: the latest values as rows, columns that are read in the cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet

from markets.indicators import INDICATORS
from markets.models import Feed
from markets.services.indicators import WINDOW, key
from markets.windows import Columns, Series, Window, Windows
from orchestrator import cache

SHARD = 250  # feeds computed by one task
_LOCKS = 1_768_842_340  # namespace of the advisory locks, one a feed
_kept = Windows()
_GIVEN = "jsonb_to_recordset(%s::jsonb) AS new (market int, timeframe int, name text, time bigint, values jsonb)"
# As a rule all of them are there, and an insertion that comes to nothing costs half as much again as an update.
_UPDATE = (
    "UPDATE markets_indicatorsnapshot AS old SET time = new.time, values = new.values, computed_at = now() "
    f"FROM {_GIVEN} WHERE old.market_id = new.market AND old.timeframe = new.timeframe AND old.name = new.name "
    "AND old.time <= new.time"
)
_INSERT = (
    "INSERT INTO markets_indicatorsnapshot (market_id, timeframe, name, time, values, computed_at) "
    f"SELECT market, timeframe, name, time, values, now() FROM {_GIVEN} ORDER BY 1, 2, 3 "
    "ON CONFLICT (market_id, timeframe, name) DO NOTHING"
)


def stale_shards() -> list[list[int]]:
    """Ids of the feeds without values of their last candle, as the tasks take them."""
    ids = list(_stale(Feed.objects.alive()).values_list("pk", flat=True))
    return [ids[start : start + SHARD] for start in range(0, len(ids), SHARD)]


def compute_indicators(feed_ids: Iterable[int] | None = None, names: Sequence[str] = tuple(INDICATORS)) -> int:
    """Every indicator of the feeds that have a candle newer than their snapshots, those given or all; feeds done.

    Feeds that another worker is at are skipped. Columns are kept for those that were read lately; the others are
    computed when somebody asks.
    """
    feeds = Feed.objects.alive()
    if feed_ids is not None:
        feeds = feeds.filter(pk__in=list(feed_ids))
    with transaction.atomic():
        series = _claimed(_stale(feeds))
        return _compute(series, names, _kept) if series else 0


def recompute_indicators(feed_ids: Iterable[int]) -> int:
    """The same by hand, whatever is there: candles are read anew, by every worker, and what is cached is dropped."""
    cache.drop_here_and_there(cache.INDICATORS)
    with transaction.atomic():
        return _compute(_claimed(Feed.objects.filter(pk__in=list(feed_ids))), tuple(INDICATORS), Windows())


def _stale(feeds: QuerySet[Feed]) -> QuerySet[Feed]:
    """Those without a full set of snapshots of their last candle."""
    snapshots = Q(market__indicators__timeframe=F("timeframe"), market__indicators__time__gte=F("synced_to"))
    fresh = Count("market__indicators", filter=snapshots)
    return feeds.filter(synced_to__isnull=False).annotate(fresh=fresh).filter(fresh__lt=len(INDICATORS)).order_by("pk")


def _claimed(feeds: QuerySet[Feed]) -> list[Series]:
    """The series of the feeds that nobody else is computing, until the transaction ends."""
    found = {pk: (market, timeframe) for pk, market, timeframe in feeds.values_list("pk", "market_id", "timeframe")}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM unnest(%s::int[]) AS id WHERE pg_try_advisory_xact_lock(%s, id)", [list(found), _LOCKS]
        )
        return [found[pk] for (pk,) in cursor.fetchall()]


def _compute(series: Sequence[Series], names: Sequence[str], kept: Windows) -> int:
    read = cache.read_lately(cache.INDICATORS)
    with kept.lock:
        windows = kept.advance(series, cache.generation(cache.INDICATORS))
        values = {window.series: {name: window.values(name) for name in names} for window in windows}
        for window in windows:
            hot = {name: found for name, found in values[window.series].items() if key(window.series, name) in read}
            window.keep_columns(hot, WINDOW)
        kept.keep(windows)
    _store(windows, values)
    entries: dict[tuple[str, cache.Version], Columns] = {
        (key(window.series, name), window.last): columns
        for window in windows
        for name, columns in window.columns.items()
    }
    cache.keep(cache.INDICATORS, entries)
    return len(windows)


def _store(windows: Sequence[Window], values: dict[Series, dict[str, Columns]]) -> None:
    """Snapshots of all in a statement or two: one document is read faster than arrays of as many items."""
    rows = [
        {"market": window.series[0], "timeframe": window.series[1], "name": name, "time": window.last, "values": latest}
        for window in windows
        for name, columns in values[window.series].items()
        # NaN, while warming up, is null in JSON.
        if (latest := {output: float(column[-1]) for output, column in columns.items()})
    ]
    document = orjson.dumps(rows).decode()
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [document])
        if cursor.rowcount < len(rows):
            cursor.execute(_INSERT, [document])
