"""An owner's money: books, what they are made of, and how they went. Nothing here writes.

A run's profit or loss is its equity less its allocation: what it is or was worth at the end, less what it was given.
Money of different modes or currencies is never added up: a Book is one mode and currency. What was before now comes
from BookSnapshots, so that no page reads the snapshots of a thousand runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from dashboard.scope import Owner

CURVE_POINTS = 400
SHARES = 6


class Share(NamedTuple):
    """What a book has in one market. value: of the positions at the last price, negative when short, in quote."""

    symbol: str
    market: int
    equity: float
    value: float


@dataclass(frozen=True, slots=True)
class Book:
    """Totals of one owner's runs in one mode and quote currency; all in that currency.

    pnl is since ever; day, week, month are the changes since midnight UTC, 7 and 30 days ago. gross is the value of
    all positions, net counts short ones against long ones. shares: the largest by equity.
    """

    mode: str
    currency: str
    equity: float
    allocation: float
    pnl: float
    day: float
    week: float
    month: float
    gross: float
    net: float
    shares: tuple[Share, ...]

    @property
    def key(self) -> str:
        return f"{self.mode}:{self.currency}"


# Runs of the owner as they stand, by book; a book's place: live money first, then the larger equity.
_RUNS = """
WITH run AS (
  SELECT r.mode, m.quote AS currency, m.id AS market, m.symbol, r.status <> 'stopped' AS alive,
         r.equity::float8 AS equity, r.allocation::float8 AS allocation,
         CASE WHEN r.status <> 'stopped' THEN r.position::float8 * coalesce(m.last, r.last_price, 0) ELSE 0 END AS value
  FROM bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
  WHERE b.owner_id = %(owner)s AND r.mode <> 'replay'
), book AS (
  SELECT mode, currency, coalesce(sum(equity) FILTER (WHERE alive), 0) AS equity,
         coalesce(sum(allocation) FILTER (WHERE alive), 0) AS allocation, sum(equity - allocation) AS pnl,
         sum(abs(value)) AS gross, sum(value) AS net
  FROM run GROUP BY mode, currency
)
"""

_BOOKS = (
    _RUNS
    + """
, share AS (
  SELECT mode, currency, symbol, market, sum(equity) AS equity, sum(value) AS value,
         row_number() OVER (PARTITION BY mode, currency ORDER BY sum(equity) DESC, market) AS place
  FROM run WHERE alive GROUP BY mode, currency, symbol, market
)
SELECT mode, currency, equity, allocation, book.pnl, book.pnl - coalesce(day.pnl, 0),
       book.pnl - coalesce(week.pnl, 0), book.pnl - coalesce(month.pnl, 0), gross, net,
       (SELECT coalesce(json_agg(json_build_array(symbol, market, equity, value) ORDER BY place), '[]') FROM share
        WHERE share.mode = book.mode AND share.currency = book.currency AND place <= %(shares)s)
FROM book
"""
    + "".join(
        f"""
LEFT JOIN LATERAL (SELECT s.pnl FROM bots_booksnapshot s
  WHERE s.owner_id = %(owner)s AND s.mode = book.mode AND s.currency = book.currency AND s.time <= %({name})s
  ORDER BY s.time DESC LIMIT 1) AS {name} ON true"""
        for name in ("day", "week", "month")
    )
    + """
ORDER BY mode = 'live' DESC, equity DESC, currency
"""
)


def books(owner: Owner, now: datetime) -> list[Book]:
    """The owner's books, live money first, then the larger equity first: one query."""
    values = {"owner": owner.pk, "shares": SHARES, "day": now.replace(hour=0, minute=0, second=0, microsecond=0)}
    values |= {"week": now - timedelta(days=7), "month": now - timedelta(days=30)}
    with connection.cursor() as cursor:
        cursor.execute(_BOOKS, values)
        return [Book(*(*row, tuple(Share(*one) for one in shares))) for *row, shares in cursor.fetchall()]


class Curve(NamedTuple):
    """Columns over time (seconds UTC). equity: of the runs alive then; pnl: of all runs; drawdown: how far pnl lies
    under the highest it was before in the period, never above zero. base: pnl as the period began, from which its gain
    is measured. book (its key) and currency are "" without one.
    """

    book: str
    currency: str
    time: list[int]
    equity: list[float]
    pnl: list[float]
    drawdown: list[float]
    base: float


Stretch = tuple[float | None, float | None]
WHOLE: Stretch = (None, None)


def curve(owner: Owner, key: str, days: int | None, now: datetime, stretch: Stretch = WHOLE) -> Curve:
    """A book over time up to now, CURVE_POINTS points at most; the first book where none has the key. One query.

    stretch: begin and end (s UTC) of the part of the period that is told, both included; drawdown and base are still
    those of the period. Of the snapshots that fall on a point the last one counts, and the deepest drawdown.
    """
    values = {"owner": owner.pk, "key": key, "now": now, "points": CURVE_POINTS - 1}
    values |= {"begin": stretch[0], "end": stretch[1]}
    with connection.cursor() as cursor:
        cursor.execute(_CURVE, values | {"since": None if days is None else now - timedelta(days=days)})
        rows = cursor.fetchall()
    columns: list[list[Any]] = (
        [list(column) for column in zip(*rows, strict=True)] if rows else [[""], [""], [], [], [], [], [0.0]]
    )
    keys, currencies, time, equity, pnl, drawdown, bases = columns
    return Curve(keys[0], currencies[0], time, equity, pnl, drawdown, bases[0])


_CURVE = (
    _RUNS
    + """
, chosen AS (
  SELECT * FROM book
  ORDER BY mode || ':' || currency = %(key)s DESC, mode = 'live' DESC, equity DESC, currency LIMIT 1
), point AS (
  SELECT s.time, s.equity, s.pnl FROM bots_booksnapshot s JOIN chosen USING (mode, currency)
  WHERE s.owner_id = %(owner)s AND (%(since)s::timestamptz IS NULL OR s.time >= %(since)s) AND s.time < %(now)s
  UNION ALL SELECT %(now)s, equity, pnl FROM chosen
), placed AS (
  SELECT *, pnl - max(pnl) OVER (ORDER BY time) AS drawdown, floor(extract(epoch FROM time))::float8 AS at FROM point
), told AS (
  SELECT *, min(at) OVER () AS first, max(at) OVER () AS last FROM placed
  WHERE at >= coalesce(%(begin)s::float8, 0) AND at <= coalesce(%(end)s::float8, 'infinity')
), grouped AS (
  -- Two points are a second apart at least, as the charts ask for; the first one has a place of its own.
  SELECT *, least(ceil((at - first) / greatest((last - first) / %(points)s, 1)), %(points)s) AS place FROM told
), ended AS (
  -- All windows go by time, so one sort serves them.
  SELECT *, lead(place) OVER (ORDER BY time) IS DISTINCT FROM place AS is_last FROM grouped
)
SELECT (SELECT mode || ':' || currency FROM chosen), (SELECT currency FROM chosen), max(at)::int8,
       max(equity) FILTER (WHERE is_last), max(pnl) FILTER (WHERE is_last), min(drawdown),
       coalesce((SELECT s.pnl FROM bots_booksnapshot s JOIN chosen USING (mode, currency)
                 WHERE s.owner_id = %(owner)s AND s.time <= %(since)s::timestamptz ORDER BY s.time DESC LIMIT 1), 0)
FROM ended GROUP BY place ORDER BY 3
"""
)
