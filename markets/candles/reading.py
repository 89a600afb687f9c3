"""Stored candles as columns: a stretch of one market, or what opened after many marks in one query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import connection
from django.db.models import Max, Min

from markets import history
from markets.history import Span
from markets.models import Candle
from markets.series import VALUES, Candles
from orchestrator.plans import without_jit


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
    """One row of one string, ascending: see history.RECORDS."""
    rows = f"SELECT time, {', '.join(VALUES)} FROM markets_candle WHERE {_where(market_id, timeframe, start, end)}"
    rows += " ORDER BY time"
    if limit is not None:
        rows = f"SELECT * FROM ({rows} DESC LIMIT {limit:d}) AS last ORDER BY time"
    return f"SELECT {history.RECORDS} FROM ({rows}) AS candle"


def _rows(market_id: int, timeframe: int, start: int | None, end: int | None, limit: int | None) -> Candles:
    query = f"COPY ({rows_query(market_id, timeframe, start, end, limit)}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.set_types(["bytea"])
        ((records,),) = copy.rows()
    return history.taken(records)


# Market id, timeframe in seconds, open time in ms UTC.
Mark = tuple[int, int, int]


def load_after(marks: Sequence[Mark], limit: int) -> dict[Mark, Candles]:
    """For each mark the stored candles that open after it, ascending, the first `limit`; one query for all."""
    if not marks:
        return {}
    # Parameters are not taken by COPY; these are integers.
    values = ", ".join(f"({n:d}, {m:d}, {t:d}, {a:d}::bigint)" for n, (m, t, a) in enumerate(marks))
    query = (
        f"COPY (SELECT part.records FROM (VALUES {values}) AS mark (n, m, t, a) CROSS JOIN LATERAL "
        f"(SELECT {history.RECORDS} AS records FROM (SELECT * FROM markets_candle WHERE market_id = m "
        f"AND timeframe = t AND time > a ORDER BY time LIMIT {limit:d}) AS candle) AS part ORDER BY mark.n"
        ") TO STDOUT (FORMAT BINARY)"
    )
    # There are hardly ever as many as the limit allows, and the planner counts with all of them.
    with without_jit() as cursor, cursor.copy(query) as copy:
        copy.set_types(["bytea"])
        parts: list[bytes] = [records or b"" for (records,) in copy.rows()]
    whole = history.taken(b"".join(parts))
    ends = np.cumsum([history.record_count(part) for part in parts]).tolist()
    return {mark: whole[begin:end] for mark, begin, end in zip(marks, [0, *ends[:-1]], ends, strict=True)}


def last_time(market_id: int, timeframe: int) -> int | None:
    """Open time of the last stored candle, ms UTC."""
    last = Candle.objects.filter(market_id=market_id, timeframe=timeframe).aggregate(last=Max("time"))["last"]
    return None if last is None else int(last)


def last_times(series: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The same of many (market id, timeframe), those that have any; one lookup in the key each, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m, t, (SELECT max(time) FROM markets_candle WHERE market_id = m AND timeframe = t) "
            "FROM unnest(%s::int[], %s::int[]) AS series (m, t)",
            [[market_id for market_id, _ in series], [timeframe for _, timeframe in series]],
        )
        return {(market_id, timeframe): last for market_id, timeframe, last in cursor.fetchall() if last is not None}


def extent(market_id: int, timeframe: int, start: int, end: int) -> tuple[int, int] | None:
    """Open times of the first and the last stored candle with open time in [start, end) ms UTC, if there is any."""
    rows = Candle.objects.filter(market_id=market_id, timeframe=timeframe, time__gte=start, time__lt=end)
    found = rows.aggregate(first=Min("time"), last=Max("time"))
    return None if found["first"] is None else (int(found["first"]), int(found["last"]))


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
