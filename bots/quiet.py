"""Runs at whose candles nothing happened: most of them, most of the time. Three columns move, in one statement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import connection

from bots import claims
from bots.models import Mode, Run
from markets.series import Candles
from orchestrator import notify
from orchestrator.binary_copy import row_dtype, rows_of, stage

# Distance of the points of a stored equity curve, ms.
EQUITY_EVERY = 300_000
_ROW = row_dtype(("run", ">i8"), ("time", ">i8"), ("price", ">f8"))
_COLUMNS = "run bigint, time bigint, price float8"
# The text of a float8 is its shortest exact form, so that the stored sums are those of the engine's price.
_MOVE = """
WITH moved AS (
    UPDATE bots_run AS run SET bar_time = new.time, last_price = new.price,
        equity = run.cash + run.position * new.price::text::numeric
    FROM pg_temp.quiet_stage AS new WHERE run.id = new.run RETURNING run.xmin
)
SELECT min(xmin::text) FROM moved
"""
_MARK = """
INSERT INTO bots_equitysnapshot (bot_id, run_id, time, equity, cash, position, price)
SELECT run.bot_id, run.id, to_timestamp(new.time / 1000.0), run.cash + run.position * new.price::text::numeric,
    run.cash, run.position, new.price
FROM pg_temp.mark_stage AS new JOIN bots_run AS run ON run.id = new.run ON CONFLICT (run_id, time) DO NOTHING
"""


def marks(candles: Candles, timeframe: int) -> tuple[list[int], list[float]]:
    """(times, prices) of the closes that fall on the five minutes: points of an equity curve."""
    closes = candles.time + timeframe * 1000
    at = np.flatnonzero(closes % EQUITY_EVERY == 0)
    return closes[at].tolist(), candles.close[at].tolist()


def write(moved: Sequence[tuple[Run, Candles]]) -> None:
    """Store where runs stand; inside the caller's transaction. Changes the rows in memory too, but for their equity."""
    if not moved:
        return
    points: list[tuple[int, int, float]] = []
    stands: list[tuple[int, int, float]] = []
    # Neighbours on a market see the same candles, which are looked at once.
    read: dict[int, tuple[int, float, list[tuple[int, float]]]] = {}
    for run, candles in moved:
        if id(candles) not in read:
            marked = list(zip(*marks(candles, run.timeframe), strict=True))
            read[id(candles)] = int(candles.time[-1]), float(candles.close[-1]), marked
        run.bar_time, run.last_price, marked = read[id(candles)]
        stands.append((run.id, run.bar_time, run.last_price))
        if marked:
            points += [(run.id, time, price) for time, price in marked]
    with connection.cursor() as cursor:
        _stage("quiet_stage", stands)
        cursor.execute(_MOVE)
        (version,) = cursor.fetchone()
        if points:
            _stage("mark_stage", points)
            cursor.execute(_MARK)
    claims.remember((run for run, _ in moved), version)
    seen = (run for run, _ in moved if run.mode != Mode.REPLAY)
    notify.changed(notify.bot_topic(run.bot.owner_id, run.bot_id) for run in seen)


def _stage(table: str, rows: list[tuple[int, int, float]]) -> None:
    run, time, price = zip(*rows, strict=True)
    stage(table, _COLUMNS, rows_of(_ROW, run=run, time=time, price=price))
