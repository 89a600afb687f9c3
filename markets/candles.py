"""The only door to stored candles: columns in, columns out, by binary COPY."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from django.db import connection, transaction
from django.db.models import Max

from markets import series
from markets.models import Candle
from markets.series import VALUES, Candles
from orchestrator.binary_copy import HEADER, TRAILER, row_dtype, rows_of

# An array on the wire: dimensions, null flag, type, size, lower bound; then length and value of each item.
_ARRAY_HEADER = 20
_TIMES = np.dtype([("length", ">i4"), ("value", ">i8")])
_FLOATS = np.dtype([("length", ">i4"), ("value", ">f8")])
_READ = row_dtype(("mark", ">i4"), ("time", ">i8"), *[(name, ">f8") for name in VALUES])
_WRITE = row_dtype(("market_id", ">i4"), ("timeframe", ">i4"), ("time", ">i8"), *[(name, ">f8") for name in VALUES])


class CandleSource(Protocol):
    """The part of a gateway that gives candles."""

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[series.Row]: ...


def load(
    market_id: int, timeframe: int, start: int | None = None, end: int | None = None, limit: int | None = None
) -> Candles:
    """Stored candles, ascending: open time in [start, end) ms UTC, timeframe in seconds; limit keeps the last ones."""
    # Only integers reach the text (":d" accepts nothing else): COPY takes no parameters on every cursor.
    where = f"market_id = {market_id:d} AND timeframe = {timeframe:d}"
    where += "" if start is None else f" AND time >= {start:d}"
    where += "" if end is None else f" AND time < {end:d}"
    rows = f"SELECT time, {', '.join(VALUES)} FROM markets_candle WHERE {where} ORDER BY time"
    if limit is not None:
        rows = f"SELECT * FROM ({rows} DESC LIMIT {limit:d}) AS last ORDER BY time"
    # One row of six arrays: a message a candle costs nine times as much in the client.
    arrays = ", ".join(f"array_send(array_agg({name}))" for name in ("time", *VALUES))
    query = f"COPY (SELECT {arrays} FROM ({rows}) AS candle) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return _unpacked(b"".join(copy))


# Market id, timeframe in seconds, open time in ms UTC.
Mark = tuple[int, int, int]


def load_after(marks: Sequence[Mark], limit: int) -> dict[Mark, Candles]:
    """For each mark the stored candles that open after it, ascending, the first `limit`; one query for all."""
    if len(marks) == 1:
        ((market_id, timeframe, after),) = marks
        return {marks[0]: load(market_id, timeframe, start=after + 1)[:limit]}
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


def _unpacked(data: bytes) -> Candles:
    """Columns out of one binary COPY row of six arrays (or nulls, when there are no candles)."""
    offset, columns = len(HEADER) + 2, []
    for kind in (_TIMES, *[_FLOATS] * len(VALUES)):
        (length,) = struct.unpack_from(">i", data, offset)
        if length < 0:
            return Candles.empty()
        count = (length - _ARRAY_HEADER) // kind.itemsize
        items = np.frombuffer(data, kind, offset=offset + 4 + _ARRAY_HEADER, count=count)["value"]
        columns.append(items.astype(items.dtype.newbyteorder("=")))
        offset += 4 + length
    return Candles(*columns)


def upsert(market_id: int, timeframe: int, candles: Candles) -> int:
    """Store candles, replacing those with the same open time; rows written or changed. Raises series.BadCandle."""
    return upsert_many([(market_id, timeframe, candles)])


def upsert_many(batch: Iterable[tuple[int, int, Candles]]) -> int:
    """`upsert` for many (market id, timeframe, candles) in one statement: all or nothing."""
    parts = []
    for market_id, timeframe, candles in batch:
        series.check(candles, timeframe)
        parts.append(packed(market_id, timeframe, candles))
    if not any(parts):
        return 0
    with transaction.atomic():
        stage(parts)
        return merge()


def packed(market_id: int, timeframe: int, candles: Candles) -> bytes:
    """Rows for stage()."""
    values = {name: getattr(candles, name) for name in VALUES}
    rows = rows_of(_WRITE, market_id=market_id, timeframe=timeframe, time=candles.time, **values)
    return rows.tobytes()


def stage(parts: Iterable[bytes]) -> None:
    """Fill the session's staging table with packed rows; inside a transaction, whose end empties it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS candle_stage (market_id int, timeframe int, time bigint, "
            "open float8, high float8, low float8, close float8, volume float8) ON COMMIT DELETE ROWS"
        )
        # An earlier merge of the same transaction may have left its rows.
        cursor.execute("TRUNCATE pg_temp.candle_stage")
        with cursor.copy("COPY pg_temp.candle_stage FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(HEADER)
            for part in parts:
                copy.write(part)
            copy.write(TRAILER)


def merge(market_id: int | None = None) -> int:
    """Copy the staged rows into the candles, all as those of one market if given; rows written or changed.

    Sorted, so that two merges never deadlock.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO markets_candle AS old (market_id, timeframe, time, open, high, low, close, volume) "
            "SELECT coalesce(%s::int, market_id), timeframe, time, open, high, low, close, volume "
            "FROM pg_temp.candle_stage ORDER BY 1, 2, 3 "
            "ON CONFLICT (market_id, timeframe, time) DO UPDATE SET open = EXCLUDED.open, high = EXCLUDED.high, "
            "low = EXCLUDED.low, close = EXCLUDED.close, volume = EXCLUDED.volume "
            "WHERE (old.open, old.high, old.low, old.close, old.volume) IS DISTINCT FROM "
            "(EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume)",
            [market_id],
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
