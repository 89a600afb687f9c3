"""A book over time, read from its sums: steps of its value, and its days. Nothing here writes.

Returns are time-weighted, so that money given to a bot or taken back is no gain: of a step, what it gained over the
money at work in it. Money that came in counts from the step's begin, money that left until its end (CFA Institute,
"Global Investment Performance Standards", 2020, 2.A.32).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db import connection

from dashboard.scope import Owner
from markets.series import Column

FINE = timedelta(days=3)
# A longer span takes longer steps; each divides a day.
STEPS = ((FINE, 300), (timedelta(days=400), 3_600), (timedelta(days=1_600), 14_400))
LONGEST_STEP = 86_400


class Steps(NamedTuple):
    """A book at marks that lie `seconds` apart. The first is what was before, with 0 for nothing.

    time: seconds UTC, ascending; equity: of the runs alive then; pnl: of all runs until then; all of one length.
    """

    seconds: int
    time: list[int]
    equity: list[float]
    pnl: list[float]

    def returns(self) -> Column:
        """Of each step, as fractions; one less than there are marks. 0 where no money was at work."""
        return returns(self.equity, self.pnl)


def returns(equity: Sequence[float], pnl: Sequence[float]) -> Column:
    """Time-weighted returns between marks, as fractions: shape (marks - 1,)."""
    worth, gained = np.asarray(equity, float), np.diff(np.asarray(pnl, float))
    capital = np.maximum(worth[:-1], worth[1:] - gained)
    found = np.zeros(len(gained))
    np.divide(gained, capital, out=found, where=capital > 0)
    return found


_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_STEPS = """
WITH mark AS (
  SELECT time, equity, pnl FROM bots_booksnapshot
  WHERE owner_id = %(owner)s AND mode = %(mode)s AND currency = %(currency)s AND time <= %(now)s
), begin AS (
  SELECT greatest(%(since)s, (SELECT min(time) FROM mark)) AS time
), step AS (
  SELECT CASE {cases} ELSE {longest} END AS seconds FROM begin
)
SELECT step.seconds, extract(epoch FROM mark.time)::int8, equity, pnl FROM mark, step
WHERE mark.time > %(since)s AND extract(epoch FROM mark.time)::int8 %% step.seconds = 0
UNION ALL
(SELECT step.seconds, extract(epoch FROM mark.time)::int8, equity, pnl FROM mark, step
 WHERE mark.time <= %(since)s ORDER BY mark.time DESC LIMIT 1)
ORDER BY 2
""".format(
    cases=" ".join(
        f"WHEN %(now)s - begin.time <= interval '{span.days} days' THEN {seconds}" for span, seconds in STEPS
    ),
    longest=LONGEST_STEP,
)


def steps(owner: Owner, book: tuple[str, str], since: datetime | None, now: datetime) -> Steps:
    """The marks of a book (mode, currency) from `since` on, None for all there are: one query.

    What was last before `since` comes first; a book that began later begins with nothing.
    """
    mode, currency = book
    values = {"owner": owner.pk, "mode": mode, "currency": currency, "now": now, "since": since or _EVER}
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, values)
        rows = cursor.fetchall()
    if not rows:
        return Steps(LONGEST_STEP, [], [], [])
    lengths, time, equity, pnl = ([*column] for column in zip(*rows, strict=True))
    if since is None or time[0] > since.timestamp():
        time, equity, pnl = [time[0] - lengths[0], *time], [0.0, *equity], [0.0, *pnl]
    return Steps(lengths[0], time, equity, pnl)


class Day(NamedTuple):
    """equity and pnl: at its end, None while there is no mark; the rest as bots.models.TradeDay has it, None without
    a trade.
    """

    day: date
    equity: float | None
    pnl: float | None
    trades: int
    cost: float
    fees: float
    orders: int
    won: int
    gains: float
    losses: float


_DAYS = """
SELECT day, mark.equity, mark.pnl, coalesce(trades, 0), coalesce(cost, 0), coalesce(fees, 0), coalesce(orders, 0),
       coalesce(won, 0), coalesce(gains, 0), coalesce(losses, 0)
FROM (
  SELECT (time AT TIME ZONE 'UTC')::date - 1 AS day, equity, pnl FROM bots_booksnapshot
  WHERE owner_id = %(owner)s AND mode = %(mode)s AND currency = %(currency)s
    AND extract(epoch FROM time)::int8 %% 86400 = 0
) AS mark
FULL JOIN (
  SELECT * FROM bots_tradeday WHERE owner_id = %(owner)s AND mode = %(mode)s AND currency = %(currency)s
) AS traded USING (day)
ORDER BY day
"""


def days(owner: Owner, book: tuple[str, str]) -> list[Day]:
    """The days (UTC) of a book that has a mark at their end or a trade, oldest first: one query."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"owner": owner.pk, "mode": book[0], "currency": book[1]})
        return [Day(*row) for row in cursor.fetchall()]
