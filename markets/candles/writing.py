"""Candles into their table: what is new is copied, what may be there is compared and merged; and forgotten again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from psycopg.errors import UniqueViolation

from markets import history, series
from markets.candles.reading import load
from markets.candles.staging import COLUMNS, copy, merged, packed, stage
from markets.history import Span
from markets.series import Candles

# From here on it pays to read what is stored and write what differs.
_MANY = 500
# Market id, timeframe in seconds, candles.
Part = tuple[int, int, Candles]


def upsert(market_id: int, timeframe: int, candles: Candles) -> int:
    """Store candles, replacing those with the same open time; rows written or changed. Raises series.BadCandle."""
    return upsert_many([(market_id, timeframe, candles)])


def upsert_many(batch: Iterable[Part]) -> int:
    """`upsert` for many (market id, timeframe, candles) in one transaction: all or nothing.

    Raises series.BadCandle, and Market.DoesNotExist for a market that is not there.
    """
    # In the order of the key, so that two writers never deadlock.
    parts = sorted((part for part in batch if len(part[2])), key=lambda part: part[:2])
    for _, timeframe, candles in parts:
        series.check(candles, timeframe)
    if not parts:
        return 0
    with transaction.atomic():
        spans = [Span(m, t, int(candles.time[0]), int(candles.time[-1])) for m, t, candles in parts]
        history.hold(span.market_id for span in spans)
        new, revised = _told_apart(parts, spans)
        written = (_add(new) if new else 0) + (_merge_parts(revised) if revised else 0)
        if written:
            history.drop(spans)
    return written


def _told_apart(parts: Sequence[Part], spans: Sequence[Span]) -> tuple[list[Part], list[Part]]:
    """Parts of whose time nothing is stored yet, and of the others the candles that may change something.

    Reading long stretches is much faster than finding out row by row, and what is equal is not even locked.
    """
    new, revised = [], []
    for (market_id, timeframe, candles), taken in zip(parts, _taken(spans), strict=True):
        if not taken:
            new.append((market_id, timeframe, candles))
            continue
        if len(candles) >= _MANY:
            candles = candles.but(load(market_id, timeframe, int(candles.time[0]), int(candles.time[-1]) + 1))
        if len(candles):
            revised.append((market_id, timeframe, candles))
    return new, revised


def _taken(spans: Sequence[Span]) -> list[bool]:
    """Whether there is a candle in each of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            # A lookup in the key for each: as a join it might be planned as a scan of the table.
            "SELECT (SELECT true FROM markets_candle WHERE market_id = m AND timeframe = t AND time BETWEEN a AND b "
            "LIMIT 1) FROM unnest(%s::int[], %s::int[], %s::bigint[], %s::bigint[]) WITH ORDINALITY "
            "AS span (m, t, a, b, n) ORDER BY n",
            [list(column) for column in zip(*spans, strict=True)],
        )
        return [bool(found) for (found,) in cursor.fetchall()]


def _add(parts: Sequence[Part]) -> int:
    """Store candles none of which is stored; rows written."""
    try:
        with transaction.atomic():
            copy(f"markets_candle ({COLUMNS})", (packed(*part) for part in parts))
    except UniqueViolation:  # another writer was faster with one of them
        return _merge_parts(parts)
    return sum(len(candles) for _, _, candles in parts)


def _merge_parts(parts: Sequence[Part]) -> int:
    stage(packed(*part) for part in parts)
    return merged()


def merge(span: Span) -> int:
    """Copy the staged rows, whatever market they name, into the candles of `span`; rows written or changed."""
    history.hold([span.market_id])
    if written := merged(span.market_id):
        history.drop([span])
    return written


def forget(market_id: int, timeframe: int, before: int, most: int) -> int:
    """Delete the oldest candles that open before a time (ms UTC), at most so many; rows deleted."""
    with transaction.atomic():
        history.hold([market_id])
        with connection.cursor() as cursor:
            cursor.execute(
                # A range of the key. IN with the oldest ones reads them anew for each, on a table never analysed.
                "WITH gone AS (DELETE FROM markets_candle WHERE market_id = %(market)s AND timeframe = %(timeframe)s "
                "AND time < LEAST(%(before)s, (SELECT time FROM markets_candle WHERE market_id = %(market)s "
                "AND timeframe = %(timeframe)s ORDER BY time OFFSET %(most)s LIMIT 1)) RETURNING time) "
                "SELECT count(*), min(time), max(time) FROM gone",
                {"market": market_id, "timeframe": timeframe, "before": before, "most": most},
            )
            deleted, first, last = cursor.fetchone()
        if deleted:
            history.drop([Span(market_id, timeframe, int(first), int(last))])
    return int(deleted)


def forget_strays() -> int:
    """Delete candles of markets that were deleted while somebody wrote to them; rows deleted."""
    with connection.cursor() as cursor:
        # From one market of the key to the next: a lookup each, where DISTINCT would read every candle.
        cursor.execute(
            "WITH RECURSIVE stored (id) AS (SELECT min(market_id) FROM markets_candle UNION ALL "
            "SELECT (SELECT min(market_id) FROM markets_candle WHERE market_id > stored.id) FROM stored "
            "WHERE stored.id IS NOT NULL) DELETE FROM markets_candle WHERE market_id = ANY (ARRAY("
            "SELECT id FROM stored WHERE id IS NOT NULL AND NOT EXISTS "
            "(SELECT FROM markets_market AS market WHERE market.id = stored.id)))"
        )
        return int(cursor.rowcount)
