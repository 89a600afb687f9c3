"""Packed blocks of stored candles, so that a whole history is read at once: a cache of the rows, never the truth.

A block is made by whoever reads the rows of a full one, and dropped in the transaction of whoever changes them. The two
keep apart by an advisory lock: a writer shares it from before its first change until it has committed, and a block is
only made by someone who holds it alone from before reading the rows. Nobody waits to make a block; it is not made then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from django.db import connection, transaction

from markets import packing
from markets.models import Market
from markets.series import VALUES, Candles

BLOCK = 4096  # candles of time in a block, from the epoch on
# Blocks made in one transaction: half a second in which a writer may have to wait.
MOST_MADE = 160
_LOCK = 0x63616E64
_LOCKS = 64  # so that a transaction which writes thousands of markets does not fill the server's table of locks
_READ_AS = ["int8", "bool", "bytea", *["bytea"] * (1 + len(VALUES))]
_WRITE_AS = ["int4", "int4", "int4", "int2", "bytea"]
# An array on the wire: dimensions, null flag, type, size, lower bound; then length and value of each item.
_ARRAY_HEADER = 20
_TIMES = np.dtype([("length", ">i4"), ("value", ">i8")])
_FLOATS = np.dtype([("length", ">i4"), ("value", ">f8")])


class Span(NamedTuple):
    """Candles of a market and timeframe (seconds) with open times from first to last, ms UTC."""

    market_id: int
    timeframe: int
    first: int
    last: int


class _Part(NamedTuple):
    """Candles of one block's time: packed, or as columns off the rows, in which case they may be `full`."""

    number: int
    full: bool
    data: bytes | None
    columns: Sequence[bytes | None]

    def __len__(self) -> int:
        if self.data is not None:
            return packing.head(self.data).length
        return array_length(self.columns[0])


def numbers(timeframe: int, first: int, last: int) -> tuple[int, int]:
    """Numbers of the first and the last block that hold a stretch of open times."""
    span = BLOCK * timeframe * 1000
    return first // span, last // span


def hold(market_ids: Iterable[int]) -> None:
    """What a transaction that changes candles does first: until its end nobody makes blocks of these markets.

    Raises Market.DoesNotExist; the markets there are cannot be deleted meanwhile.
    """
    ids = sorted(set(market_ids))
    with connection.cursor() as cursor:
        # Once a market, where a foreign key would look once a candle: that costs more than the writing.
        cursor.execute("SELECT id FROM markets_market WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [ids])
        if missing := set(ids) - {found for (found,) in cursor.fetchall()}:
            raise Market.DoesNotExist(f"There is no market {min(missing)}.")
        slots = sorted({market_id % _LOCKS for market_id in ids})
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, slot) FROM unnest(%s::int[]) AS slot", [_LOCK, slots])


def drop(spans: Sequence[Span]) -> None:
    """Forget the blocks that hold any of these candles; in the transaction that changes them, after hold()."""
    first, last = zip(*(numbers(span.timeframe, span.first, span.last) for span in spans), strict=True)
    columns = [[span.market_id for span in spans], [span.timeframe for span in spans], list(first), list(last)]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM markets_historyblock AS block USING unnest(%s::int[], %s::int[], %s::bigint[], %s::bigint[]) "
            "AS span (m, t, a, b) WHERE market_id = m AND timeframe = t AND number BETWEEN a AND b",
            columns,
        )


def load(market_id: int, timeframe: int, first: int, last: int) -> Candles:
    """Candles of all blocks that hold open times from first to last (ms UTC), ascending: more than was asked for.

    Read in one statement, so they are of one moment. Blocks that are missing are made, unless the caller is inside a
    transaction of its own: others would have to wait for the end of that one.
    """
    begin, end = numbers(timeframe, first, last)
    if connection.in_atomic_block:
        return _joined(_read(market_id, timeframe, begin, end), timeframe)
    missing = _missing(market_id, timeframe, begin, end)
    while len(missing) > MOST_MADE:
        _load_and_make(market_id, timeframe, missing[0], missing[MOST_MADE - 1])
        missing = missing[MOST_MADE:]
    if not missing:
        return _joined(_read(market_id, timeframe, begin, end), timeframe)
    return _load_and_make(market_id, timeframe, begin, end)


@transaction.atomic
def _load_and_make(market_id: int, timeframe: int, begin: int, end: int) -> Candles:
    alone = _alone(market_id)
    parts = _read(market_id, timeframe, begin, end)
    candles = _joined(parts, timeframe)
    if alone:
        _make(market_id, timeframe, parts, candles)
    return candles


def _alone(market_id: int) -> bool:
    """Whether nobody is writing this market's candles, nor will before the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK, market_id % _LOCKS])
        return bool(cursor.fetchone()[0])


def _missing(market_id: int, timeframe: int, begin: int, end: int) -> list[int]:
    """Numbers from begin to end, but for the last one of all, that have no block."""
    span = BLOCK * timeframe * 1000
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n FROM generate_series(%(begin)s::bigint, least(%(end)s::bigint, (SELECT max(time) / %(span)s - 1 "
            "FROM markets_candle WHERE market_id = %(market)s AND timeframe = %(timeframe)s))) AS n WHERE NOT EXISTS "
            "(SELECT FROM markets_historyblock WHERE market_id = %(market)s AND timeframe = %(timeframe)s "
            "AND number = n AND format = %(format)s) ORDER BY n",
            {
                "market": market_id, "timeframe": timeframe, "begin": begin, "end": end, "span": span,
                "format": packing.FORMAT,
            },
        )  # fmt: skip
        return [int(number) for (number,) in cursor.fetchall()]


def _read(market_id: int, timeframe: int, begin: int, end: int) -> list[_Part]:
    """The blocks from begin to end, ascending, each from its row or out of its candles.

    The last block of all is never full: its next candle would be the end of it at once.
    """
    span = BLOCK * timeframe * 1000
    # Only integers reach the text (":d" accepts nothing else): COPY takes no parameters.
    key = f"market_id = {market_id:d} AND timeframe = {timeframe:d}"
    # One row of six arrays: a message a candle costs nine times as much in the client.
    arrays = ", ".join(f"array_send(array_agg({name})) AS {name}" for name in ("time", *VALUES))
    query = (
        f"COPY (SELECT n, n < (SELECT max(time) / {span:d} FROM markets_candle WHERE {key}), data, part.* "
        f"FROM generate_series({begin:d}::bigint, {end:d}::bigint) AS n "
        f"LEFT JOIN markets_historyblock ON {key} AND number = n AND format = {packing.FORMAT:d} "
        f"CROSS JOIN LATERAL (SELECT {arrays} FROM (SELECT * FROM markets_candle WHERE data IS NULL AND {key} "
        f"AND time >= n * {span:d} AND time < (n + 1) * {span:d} ORDER BY time) AS candle) AS part ORDER BY n"
        f") TO STDOUT (FORMAT BINARY)"
    )
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        # Rows that will not be looked at count in the planner's costs; compiling for them takes a third of a second.
        cursor.execute("SET LOCAL jit = off")
        with cursor.copy(query) as copy:
            copy.set_types(_READ_AS)
            return [_Part(number, bool(full), data, columns) for number, full, data, *columns in copy.rows()]


def _joined(parts: Sequence[_Part], timeframe: int) -> Candles:
    step = timeframe * 1000
    total = sum(map(len, parts))
    candles = Candles(np.empty(total, np.int64), *(np.empty(total) for _ in VALUES))
    row = 0
    for part in parts:
        into = candles[row : row + len(part)]
        row += len(part)
        if part.data is not None:
            packing.unpack(part.data, part.number * BLOCK * step, step, into)
        else:
            take(part.columns, into)
    return candles


def _make(market_id: int, timeframe: int, parts: Sequence[_Part], candles: Candles) -> None:
    """Keep the full ones of those that were not; the caller is _alone()."""
    step, row, rows = timeframe * 1000, 0, []
    for part in parts:
        mine = candles[row : row + len(part)]
        row += len(part)
        if part.full and part.data is None:
            data = packing.pack(mine, part.number * BLOCK * step, step)
            rows.append((market_id, timeframe, part.number, packing.FORMAT, data))
    if not rows:
        return
    with connection.cursor() as cursor:
        # Of an earlier format.
        cursor.execute(
            "DELETE FROM markets_historyblock WHERE market_id = %s AND timeframe = %s AND number = ANY(%s)",
            [market_id, timeframe, [number for _, _, number, _, _ in rows]],
        )
        with cursor.copy(
            "COPY markets_historyblock (market_id, timeframe, number, format, data) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(_WRITE_AS)
            for values in rows:
                copy.write_row(values)


def array_length(data: bytes | None) -> int:
    """Items of what array_send gives for numbers of eight bytes."""
    return 0 if data is None else (len(data) - _ARRAY_HEADER) // _TIMES.itemsize


def take(columns: Sequence[bytes | None], into: Candles) -> None:
    """Fill `into` with six columns as array_send gives them."""
    for name, kind, data in zip(("time", *VALUES), (_TIMES, *[_FLOATS] * len(VALUES)), columns, strict=True):
        if data is not None:
            getattr(into, name)[:] = np.frombuffer(data, kind, offset=_ARRAY_HEADER)["value"]
