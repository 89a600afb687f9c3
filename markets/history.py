"""Packed blocks of stored candles, so that a whole history is read at once: a cache of the rows, never the truth.

A block is made by whoever reads the rows of a full one, and dropped in the transaction of whoever changes them. The two
keep apart by an advisory lock: a writer shares it from before its first change until it has committed, and a block is
only made by someone who holds it alone from before reading the rows. Nobody waits to make a block; it is not made then.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
from django.db import connection, transaction

from markets import packing
from markets.models import Market
from markets.series import VALUES, Candles
from orchestrator.plans import without_jit

BLOCK = 4096  # candles of time in a block, from the epoch on
# Blocks made in one transaction: half a second in which a writer may have to wait.
MOST_MADE = 160
_LOCK = 0x63616E64
_LOCKS = 64  # so that a transaction which writes thousands of markets does not fill the server's table of locks
_READ_AS = ["int8", "bool", "bytea", "bytea"]
_WRITE_AS = ["int4", "int4", "int4", "int2", "bytea"]
# Candles as one string of bytes, a record each: a message a candle costs the client nine times as much, an array a
# column the server a fifth more. Of rows that come in the order of time.
RECORDS = "string_agg(int8send(time) || " + " || ".join(f"float8send({name})" for name in VALUES) + ", '')"
_RECORD = np.dtype([("time", ">i8"), *[(name, ">f8") for name in VALUES]])


class Span(NamedTuple):
    """Candles of a market and timeframe (seconds) with open times from first to last, ms UTC."""

    market_id: int
    timeframe: int
    first: int
    last: int


class _Part(NamedTuple):
    """Candles of one block's time: packed, or as records off the rows, in which case they may be `full`."""

    number: int
    full: bool
    data: bytes | None
    records: bytes | None

    def __len__(self) -> int:
        return record_count(self.records) if self.data is None else packing.head(self.data).length


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
        return _load(market_id, timeframe, begin, end)[0]
    missing = _missing(market_id, timeframe, begin, end)
    while len(missing) > MOST_MADE:
        _load_and_make(market_id, timeframe, missing[0], missing[MOST_MADE - 1])
        missing = missing[MOST_MADE:]
    if not missing:
        return _load(market_id, timeframe, begin, end)[0]
    return _load_and_make(market_id, timeframe, begin, end)


@transaction.atomic
def _load_and_make(market_id: int, timeframe: int, begin: int, end: int) -> Candles:
    candles, made = _load(market_id, timeframe, begin, end, pack=_alone(market_id))
    if made:
        _keep(market_id, timeframe, made)
    return candles


def _load(
    market_id: int, timeframe: int, begin: int, end: int, pack: bool = False
) -> tuple[Candles, list[tuple[int, bytes]]]:
    """Candles, and if wanted (number, packed) of the full blocks that there are not: the caller is _alone() then.

    Each part is unpacked and packed while the server makes the next one.
    """
    step, row = timeframe * 1000, 0
    made: list[tuple[int, bytes]] = []
    room = (end - begin + 1) * BLOCK
    into = Candles(np.empty(room, np.int64), *(np.empty(room) for _ in VALUES))
    with closing(_read(market_id, timeframe, begin, end)) as parts:
        for part in parts:
            start, mine = part.number * BLOCK * step, into[row : row + len(part)]
            row += len(part)
            if part.data is not None:
                packing.unpack(part.data, start, step, mine)
                continue
            take(part.records, mine)
            if pack and part.full:
                made.append((part.number, packing.pack(mine, start, step)))
    return into[:row], made


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


def _read(market_id: int, timeframe: int, begin: int, end: int) -> Generator[_Part]:
    """The blocks from begin to end, ascending, each from its row or out of its candles, as the server makes them.

    The last block of all is never full: its next candle would be the end of it at once.
    """
    span = BLOCK * timeframe * 1000
    # Only integers reach the text (":d" accepts nothing else): COPY takes no parameters.
    key = f"market_id = {market_id:d} AND timeframe = {timeframe:d}"
    query = (
        f"COPY (SELECT n, n < (SELECT max(time) / {span:d} FROM markets_candle WHERE {key}), data, part.records "
        f"FROM generate_series({begin:d}::bigint, {end:d}::bigint) AS n "
        f"LEFT JOIN markets_historyblock ON {key} AND number = n AND format = {packing.FORMAT:d} "
        f"CROSS JOIN LATERAL (SELECT {RECORDS} AS records FROM (SELECT * FROM markets_candle WHERE data IS NULL "
        f"AND {key} AND time >= n * {span:d} AND time < (n + 1) * {span:d} ORDER BY time) AS candle) AS part ORDER BY n"
        f") TO STDOUT (FORMAT BINARY)"
    )
    # Rows that will not be looked at count in the planner's costs.
    with without_jit() as cursor, cursor.copy(query) as copy:
        copy.set_types(_READ_AS)
        for number, full, data, records in copy.rows():
            yield _Part(number, bool(full), data, records)


def _keep(market_id: int, timeframe: int, made: Sequence[tuple[int, bytes]]) -> None:
    """Store packed blocks in the place of what there is of them in an earlier format."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM markets_historyblock WHERE market_id = %s AND timeframe = %s AND number = ANY(%s)",
            [market_id, timeframe, [number for number, _ in made]],
        )
        with cursor.copy(
            "COPY markets_historyblock (market_id, timeframe, number, format, data) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(_WRITE_AS)
            for number, data in made:
                copy.write_row((market_id, timeframe, number, packing.FORMAT, data))


def record_count(records: bytes | None) -> int:
    """Candles in what RECORDS gives."""
    return 0 if records is None else len(records) // _RECORD.itemsize


def take(records: bytes | None, into: Candles) -> None:
    """Fill `into`, as long as they are, with what RECORDS gives."""
    if records is not None:
        found = np.frombuffer(records, _RECORD)
        for name in ("time", *VALUES):
            getattr(into, name)[:] = found[name]


def taken(records: bytes | None) -> Candles:
    """The candles that RECORDS gives."""
    count = record_count(records)
    candles = Candles(np.empty(count, np.int64), *(np.empty(count) for _ in VALUES))
    take(records, candles)
    return candles
