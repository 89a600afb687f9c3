"""What each bot of an owner came to, now and since a moment: where a book's profit came from. Nothing here writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db import connection

from dashboard.scope import Owner

CORRELATED = 8
CORRELATION_DAYS = 90
LEAST_DAYS = 5


class Standing(NamedTuple):
    """What a bot's runs of one mode came to in one market; money in `currency`.

    pnl: equity less allocation, of all runs; gained: the same since the moment asked for. equity, value: of the run
    that is alive, value that of its position at the last price, never negative. trades, fees, funding: of all runs.
    """

    mode: str
    currency: str
    bot: int
    name: str
    kind: str
    market: int
    symbol: str
    pnl: float
    gained: float
    equity: float
    allocation: float
    value: float
    trades: int
    fees: float
    funding: float


# A run that is not in the books yet at the moment began with its allocation; one that had ended gained nothing since.
_STANDINGS = """
SELECT r.mode, m.quote, b.id, b.name, r.kind, m.id, m.symbol,
       sum(r.equity - r.allocation)::float8,
       sum(CASE WHEN r.stopped_at <= %(since)s THEN 0
                ELSE r.equity::float8 - coalesce(before.equity, r.allocation::float8) END),
       coalesce(sum(r.equity) FILTER (WHERE r.status <> 'stopped'), 0)::float8,
       coalesce(sum(r.allocation) FILTER (WHERE r.status <> 'stopped'), 0)::float8,
       coalesce(sum(abs(r.position) * coalesce(m.last, r.last_price, 0)::numeric)
                FILTER (WHERE r.status <> 'stopped'), 0)::float8,
       sum(r.trades_count), sum(r.fees)::float8, sum(r.funding)::float8
FROM bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
LEFT JOIN LATERAL (
  SELECT s.equity FROM bots_equitysnapshot s
  WHERE r.started_at < %(since)s AND s.run_id = r.id AND s.time <= %(since)s ORDER BY s.time DESC LIMIT 1
) AS before ON true
WHERE b.owner_id = %(owner)s AND r.mode <> 'replay'
GROUP BY r.mode, m.quote, b.id, r.kind, m.id
ORDER BY b.id
"""


def standings(owner: Owner, since: datetime | None) -> list[Standing]:
    """Of every bot that was ever started, all books: one query. Since None is since ever."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, {"owner": owner.pk, "since": since or datetime.fromisoformat("2000-01-01T00:00Z")})
        return [Standing(*row) for row in cursor.fetchall()]


def keys(found: Iterable[Standing]) -> list[str]:
    """The books there are, live money first, then the larger equity."""
    equity: dict[tuple[str, str], float] = {}
    for one in found:
        equity[one.mode, one.currency] = equity.get((one.mode, one.currency), 0.0) + one.equity
    return [":".join(book) for book in sorted(equity, key=lambda book: (book[0] != "live", -equity[book], book))]


@dataclass(slots=True)
class Group:
    """What several standings came to together; fields as theirs."""

    key: Any
    label: str
    bots: int = 0
    pnl: float = 0.0
    gained: float = 0.0
    equity: float = 0.0
    allocation: float = 0.0
    value: float = 0.0
    trades: int = 0
    fees: float = 0.0
    funding: float = 0.0


_SUMMED = tuple(field.name for field in fields(Group))[3:]


def grouped(found: Iterable[Standing], by: Callable[[Standing], tuple[Any, str]]) -> list[Group]:
    """Summed up by what `by` says, (key, label) each: what gained most first."""
    groups: dict[Any, Group] = {}
    for one in found:
        key, label = by(one)
        group = groups.setdefault(key, Group(key, label))
        group.bots += 1
        for name in _SUMMED:
            setattr(group, name, getattr(group, name) + getattr(one, name))
    return sorted(groups.values(), key=lambda group: (-group.gained, group.label, str(group.key)))


_DAILY = """
WITH run AS (
  SELECT r.id, r.bot_id, r.started_at, r.stopped_at, r.equity::float8 AS equity, r.allocation::float8 AS allocation
  FROM bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
  WHERE b.owner_id = %(owner)s AND r.bot_id = ANY(%(bots)s) AND r.mode = %(mode)s AND m.quote = %(currency)s
), mark AS (
  SELECT generate_series(%(start)s::timestamptz, %(end)s::timestamptz, '1 day') AS time
)
SELECT bot_id, mark.time, bool_or(run.stopped_at IS NULL OR run.stopped_at > mark.time - interval '1 day'),
       sum(CASE WHEN run.stopped_at <= mark.time THEN run.equity ELSE coalesce(found.equity, run.allocation) END
           - run.allocation)
FROM run JOIN mark ON run.started_at <= mark.time
LEFT JOIN LATERAL (
  SELECT s.equity FROM bots_equitysnapshot s WHERE s.run_id = run.id AND s.time <= mark.time
  ORDER BY s.time DESC LIMIT 1
) AS found ON true
GROUP BY bot_id, mark.time ORDER BY bot_id, mark.time
"""


def correlations(owner: Owner, book: tuple[str, str], bots: list[int], now: datetime) -> list[list[float | None]]:
    """Pearson's correlation of the bots' daily profit over CORRELATION_DAYS at most, a row and a column a bot.

    Each pair over the whole days both were alive; None for fewer than LEAST_DAYS of them, and where nothing varies.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    values = {"owner": owner.pk, "bots": bots, "mode": book[0], "currency": book[1], "end": midnight}
    with connection.cursor() as cursor:
        cursor.execute(_DAILY, values | {"start": midnight - timedelta(days=CORRELATION_DAYS)})
        rows = cursor.fetchall()
    pnl = np.full((len(bots), CORRELATION_DAYS + 1), np.nan)
    alive = np.zeros(pnl.shape, bool)
    for bot, time, lived, value in rows:
        place = bots.index(bot), CORRELATION_DAYS - (midnight - time).days
        pnl[place], alive[place] = value, lived
    daily = np.where(alive[:, 1:], np.diff(pnl), np.nan)
    return [[_correlation(one, other) for other in daily] for one in daily]


def _correlation(one: Any, other: Any) -> float | None:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < LEAST_DAYS:
        return None
    x, y = one[both] - one[both].mean(), other[both] - other[both].mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else None
