"""Rows of candles in the form of binary COPY, and the session's table in which they wait to be merged."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from markets.series import VALUES, Candles
from orchestrator.binary_copy import HEADER, TRAILER, row_dtype, rows_of

COLUMNS = "market_id, timeframe, time, open, high, low, close, volume"
_WRITE = row_dtype(("market_id", ">i4"), ("timeframe", ">i4"), ("time", ">i8"), *[(name, ">f8") for name in VALUES])


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
    copy("pg_temp.candle_stage", parts)


def copy(target: str, parts: Iterable[bytes]) -> None:
    """Packed rows into a table, by COPY."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(HEADER)
        for part in parts:
            copy.write(part)
        copy.write(TRAILER)


def merged(market_id: int | None = None) -> int:
    """Merge what is staged into the candles, those of all or taken for one market's; rows written or changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO markets_candle AS old ({COLUMNS}) "
            "SELECT coalesce(%s::int, market_id), timeframe, time, open, high, low, close, volume "
            "FROM pg_temp.candle_stage "
            "ON CONFLICT (market_id, timeframe, time) DO UPDATE SET open = EXCLUDED.open, high = EXCLUDED.high, "
            "low = EXCLUDED.low, close = EXCLUDED.close, volume = EXCLUDED.volume "
            "WHERE (old.open, old.high, old.low, old.close, old.volume) IS DISTINCT FROM "
            "(EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume)",
            [market_id],
        )
        return int(cursor.rowcount)
