"""The only door to stored candles: columns in, columns out, by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from django.db import connection, transaction
from django.db.models import Max, Min
from psycopg.errors import UniqueViolation

from markets import history, series
from markets.history import Span
from markets.models import Candle
from markets.series import VALUES, Candles
from orchestrator.binary_copy import HEADER, TRAILER, row_dtype, rows_of

_READ = row_dtype(("mark", ">i4"), ("time", ">i8"), *[(name, ">f8") for name in VALUES])
_WRITE = row_dtype(("market_id", ">i4"), ("timeframe", ">i4"), ("time", ">i8"), *[(name, ">f8") for name in VALUES])
_ARRAYS = ["bytea"] * (1 + len(VALUES))
_COLUMNS = "market_id, timeframe, time, open, high, low, close, volume"
# From here on it pays to read what is stored and write what differs.
_MANY = 500


class CandleSource(Protocol):
    """The part of a gateway that gives candles."""

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[series.Row]: ...


def load(
    market_id: int, timeframe: int, start: int | None = None, end: int | None = None, limit: int | None = None
) -> Candles:
    """Stored candles, ascending: open time in [start, end) ms UTC, timeframe in seconds; limit keeps the last ones.

    Long stretches come from packed blocks (markets/history.py), short ones from the rows.
    """
    if (limit is not None and limit <= history.BLOCK) or _short(timeframe, start, end):
        return _rows(market_id, timeframe, start, end, limit)
    span = _span(market_id, timeframe, start, end, limit)
    if span is None or span.last - span.first < history.BLOCK * timeframe * 1000:
        return _rows(market_id, timeframe, start, end, limit)
    found = history.load(*span)
    first = 0 if start is None else int(np.searchsorted(found.time, start))
    after = len(found) if end is None else int(np.searchsorted(found.time, end))
    return found[first if limit is None else max(first, after - limit) : after]


def _short(timeframe: int, start: int | None, end: int | None) -> bool:
    return start is not None and end is not None and end - start <= history.BLOCK * timeframe * 1000


def _where(market_id: int, timeframe: int, start: int | None, end: int | None) -> str:
    # Only integers reach the text (":d" accepts nothing else): COPY takes no parameters on every cursor.
    where = f"market_id = {market_id:d} AND timeframe = {timeframe:d}"
    where += "" if start is None else f" AND time >= {start:d}"
    return where + ("" if end is None else f" AND time < {end:d}")


def _span(market_id: int, timeframe: int, start: int | None, end: int | None, limit: int | None) -> Span | None:
    """From the first to the last candle that load() is asked for; None when there are none."""
    where = _where(market_id, timeframe, start, end)
    times = f"SELECT time FROM markets_candle WHERE {where}"
    # The least of a limit has to be counted down to; without one it is looked up.
    least = f"SELECT time FROM ({times} ORDER BY time DESC LIMIT {limit or 0:d}) AS last ORDER BY time LIMIT 1"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({least if limit else times + ' ORDER BY time LIMIT 1'}), ({times} ORDER BY time DESC LIMIT 1)"
        )
        first, last = cursor.fetchone()
    return None if first is None else Span(market_id, timeframe, int(first), int(last))


def rows_query(
    market_id: int, timeframe: int, start: int | None = None, end: int | None = None, limit: int | None = None
) -> str:
    """One row of six arrays, ascending: a message a candle costs nine times as much in the client."""
    rows = f"SELECT time, {', '.join(VALUES)} FROM markets_candle WHERE {_where(market_id, timeframe, start, end)}"
    rows += " ORDER BY time"
    if limit is not None:
        rows = f"SELECT * FROM ({rows} DESC LIMIT {limit:d}) AS last ORDER BY time"
    arrays = ", ".join(f"array_send(array_agg({name}))" for name in ("time", *VALUES))
    return f"SELECT {arrays} FROM ({rows}) AS candle"


def _rows(market_id: int, timeframe: int, start: int | None, end: int | None, limit: int | None) -> Candles:
    query = f"COPY ({rows_query(market_id, timeframe, start, end, limit)}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types(_ARRAYS)
        ((*columns,),) = copy.rows()
    count = history.array_length(columns[0])
    candles = Candles(np.empty(count, np.int64), *(np.empty(count) for _ in VALUES))
    history.take(columns, candles)
    return candles


# Market id, timeframe in seconds, open time in ms UTC.
Mark = tuple[int, int, int]


def load_after(marks: Sequence[Mark], limit: int) -> dict[Mark, Candles]:
    """For each mark the stored candles that open after it, ascending, the first `limit`; one query for all."""
    if not marks:
        return {}
    with connection.cursor() as cursor:
        # Parameters are not taken by COPY; these are integers.
        values = ", ".join(f"({n:d}, {m:d}, {t:d}, {a:d}::bigint)" for n, (m, t, a) in enumerate(marks))
        query = (
            f"COPY (SELECT mark.n, candle.time, {', '.join(VALUES)} FROM (VALUES {values}) AS mark (n, m, t, a), "
            f"LATERAL (SELECT * FROM markets_candle WHERE market_id = m AND timeframe = t AND time > a "
            f"ORDER BY time LIMIT {limit:d}) AS candle ORDER BY mark.n, candle.time) TO STDOUT (FORMAT BINARY)"
        )
        with cursor.copy(query) as copy:
            data = b"".join(copy)
    rows = np.frombuffer(data, _READ, offset=len(HEADER), count=(len(data) - len(HEADER)) // _READ.itemsize)
    columns = [rows[name].astype(rows.dtype[name].newbyteorder("=")) for name in ("time", *VALUES)]
    ends = np.searchsorted(rows["mark"], np.arange(len(marks)), side="right").tolist()
    begins = [0, *ends[:-1]]
    return {
        mark: Candles(*(column[begin:end] for column in columns))
        for mark, begin, end in zip(marks, begins, ends, strict=True)
    }


def last_time(market_id: int, timeframe: int) -> int | None:
    """Open time of the last stored candle, ms UTC."""
    last = Candle.objects.filter(market_id=market_id, timeframe=timeframe).aggregate(last=Max("time"))["last"]
    return None if last is None else int(last)


def upsert(market_id: int, timeframe: int, candles: Candles) -> int:
    """Store candles, replacing those with the same open time; rows written or changed. Raises series.BadCandle."""
    return upsert_many([(market_id, timeframe, candles)])


Part = tuple[int, int, Candles]


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
            _copy(f"markets_candle ({_COLUMNS})", (packed(*part) for part in parts))
    except UniqueViolation:  # another writer was faster with one of them
        return _merge_parts(parts)
    return sum(len(candles) for _, _, candles in parts)


def _merge_parts(parts: Sequence[Part]) -> int:
    stage(packed(*part) for part in parts)
    return _merge()


def packed(market_id: int, timeframe: int, candles: Candles) -> bytes:
    """Rows for stage()."""
    values = {name: getattr(candles, name) for name in VALUES}
    rows = rows_of(_WRITE, market_id=market_id, timeframe=timeframe, time=candles.time, **values)
    return rows.tobytes()


def stage(parts: Iterable[bytes]) -> None:
    """Fill the session's staging table with packed rows; inside a transaction, whose end empties it.

    In the order of the key, as they are stored in theirs.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS candle_stage (market_id int, timeframe int, time bigint, "
            "open float8, high float8, low float8, close float8, volume float8) ON COMMIT DELETE ROWS"
        )
        # An earlier merge of the same transaction may have left its rows.
        cursor.execute("TRUNCATE pg_temp.candle_stage")
    _copy("pg_temp.candle_stage", parts)


def _copy(target: str, parts: Iterable[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(HEADER)
        for part in parts:
            copy.write(part)
        copy.write(TRAILER)


def merge(span: Span) -> int:
    """Copy the staged rows, whatever market they name, into the candles of `span`; rows written or changed."""
    history.hold([span.market_id])
    if written := _merge(span.market_id):
        history.drop([span])
    return written


def _merge(market_id: int | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO markets_candle AS old ({_COLUMNS}) "
            "SELECT coalesce(%s::int, market_id), timeframe, time, open, high, low, close, volume "
            "FROM pg_temp.candle_stage "
            "ON CONFLICT (market_id, timeframe, time) DO UPDATE SET open = EXCLUDED.open, high = EXCLUDED.high, "
            "low = EXCLUDED.low, close = EXCLUDED.close, volume = EXCLUDED.volume "
            "WHERE (old.open, old.high, old.low, old.close, old.volume) IS DISTINCT FROM "
            "(EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume)",
            [market_id],
        )
        return int(cursor.rowcount)


def forget(market_id: int, timeframe: int, before: int, most: int) -> int:
    """Delete the oldest candles that open before a time (ms UTC), at most so many; rows deleted."""
    with transaction.atomic():
        history.hold([market_id])
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH gone AS (DELETE FROM markets_candle WHERE market_id = %(market)s AND timeframe = %(timeframe)s "
                "AND time IN (SELECT time FROM markets_candle WHERE market_id = %(market)s "
                "AND timeframe = %(timeframe)s AND time < %(before)s ORDER BY time LIMIT %(most)s) RETURNING time) "
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


def gaps(market_id: int, timeframe: int, start: int | None = None, end: int | None = None) -> list[tuple[int, int]]:
    """Missing stretches between stored candles: (open time of the first missing, of the next there is), ms UTC."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT before + %(step)s, time FROM (SELECT time, lag(time) OVER (ORDER BY time) AS before "
            "FROM markets_candle WHERE market_id = %(market)s AND timeframe = %(timeframe)s "
            "AND time >= coalesce(%(start)s::bigint, 0) "
            "AND time < coalesce(%(end)s::bigint, 9223372036854775807)) AS pair "
            "WHERE time - before > %(step)s ORDER BY time",
            {"market": market_id, "timeframe": timeframe, "start": start, "end": end, "step": timeframe * 1000},
        )
        return [(int(first), int(after)) for first, after in cursor.fetchall()]


def extent(market_id: int, timeframe: int, start: int, end: int) -> tuple[int, int] | None:
    """Open times of the first and the last stored candle with open time in [start, end) ms UTC, if there is any."""
    rows = Candle.objects.filter(market_id=market_id, timeframe=timeframe, time__gte=start, time__lt=end)
    found = rows.aggregate(first=Min("time"), last=Max("time"))
    return None if found["first"] is None else (int(found["first"]), int(found["last"]))


def backfill(
    source: CandleSource, market_id: int, symbol: str, timeframe: int, start: int, end: int, page: int = 1000
) -> int:
    """Fetch and store the closed candles with open time in [start, end), page by page; rows written or changed.

    Raises the source's GatewayError and series.BadCandle; pages before the failing one stay stored.
    """
    written, since = 0, start
    while since < end:
        rows = [row for row in source.fetch_ohlcv(symbol, timeframe, since, page) if since <= row[0] < end]
        if not rows:
            break
        written += upsert(market_id, timeframe, Candles.from_rows(rows))
        since = rows[-1][0] + timeframe * 1000
    return written
