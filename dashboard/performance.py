"""How a book did: figures of its returns, drawdowns and trades, by day and by month. Behind the page and the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np

from bots.performance import Curve, Trades, metrics
from bots.performance.trades import COLUMNS
from dashboard import history
from dashboard.history import Day, Steps
from dashboard.scope import Owner
from dashboard.standings import Standing
from orchestrator import cache

# Period switch: name -> days before today, None for all.
PERIODS: Final[dict[str, int | None]] = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": None}
MARK_SECONDS = 300
_OF_A_CURVE = (
    "total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "drawdown_peak",
    "drawdown_low", "drawdown_recovery", "drawdown_length", "under_water", "longest_under_water",
)  # fmt: skip


class Now(NamedTuple):
    """A book as it stands."""

    equity: float
    pnl: float
    value: float


class DayRow(NamedTuple):
    """gained: in the currency; rate: the time-weighted return; equity: at the end, or now."""

    day: date
    gained: float
    rate: float
    equity: float
    traded: Day | None


class Month(NamedTuple):
    """month: its first day. gained and rate as DayRow's."""

    month: date
    gained: float
    rate: float


@dataclass(frozen=True, slots=True)
class Performance:
    """figures: by name, see figures(); days: of all there were, oldest first; since: None for the period of all."""

    since: datetime | None
    figures: dict[str, Any]
    days: list[DayRow]

    @property
    def shown(self) -> list[DayRow]:
        """Days of the period, oldest first."""
        return [one for one in self.days if self.since is None or one.day >= self.since.date()]

    @property
    def months(self) -> list[Month]:
        """All there were, oldest first."""
        found = groupby(self.days, lambda one: one.day.replace(day=1))
        return [_month(month, list(days)) for month, days in found]


def begin(period: str, now: datetime) -> datetime | None:
    """When a period begins: at midnight UTC, so that its days are whole."""
    days = PERIODS[period]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return None if days is None else midnight - timedelta(days=days)


def book_of(key: str) -> tuple[str, str]:
    """Mode and currency."""
    mode, _, currency = key.partition(":")
    return mode, currency


def standing_now(found: Iterable[Standing], key: str) -> Now:
    book = book_of(key)
    own = [one for one in found if (one.mode, one.currency) == book]
    return Now(sum(one.equity for one in own), sum(one.pnl for one in own), sum(one.value for one in own))


def performance(owner: Owner, key: str, period: str, standing: Now, at: datetime) -> Performance:
    """Of one book: two queries, or none while both are in the cache. standing: as it is at that moment."""
    since = begin(period, at)
    marks = _ended(_steps(owner, key, period, at), standing, at)
    days = _days(owner, key, at)
    traded = [one for one in days if one.trades and (since is None or one.day >= since.date())]
    return Performance(since, figures(marks, traded, standing), _day_rows(days, standing, at.date()))


def _steps(owner: Owner, key: str, period: str, at: datetime) -> Steps:
    """Kept until there is another mark, and for a minute at most."""
    version = int(at.timestamp()) // MARK_SECONDS
    name = f"steps:{owner.pk}:{key}:{period}"
    since = begin(period, at)
    kept: Any = cache.fetch(
        cache.PERFORMANCE, name, version, lambda: tuple(history.steps(owner, book_of(key), since, at))
    )
    return Steps(*kept)


def _days(owner: Owner, key: str, at: datetime) -> list[Day]:
    name, version = f"days:{owner.pk}:{key}", at.date().toordinal()
    rows: Any = cache.fetch(
        cache.DAILY_PNL, name, version, lambda: [tuple(one) for one in history.days(owner, book_of(key))]
    )
    return [Day(*row) for row in rows]


def _ended(marks: Steps, standing: Now, at: datetime) -> Steps:
    """With what it is worth now for a last mark."""
    if not marks.time:
        return marks
    last = max(int(at.timestamp()), marks.time[-1] + 1)
    return Steps(marks.seconds, [*marks.time, last], [*marks.equity, standing.equity], [*marks.pnl, standing.pnl])


def figures(marks: Steps, traded: list[Day], standing: Now) -> dict[str, Any]:
    """By name; None where one cannot be computed.

    Those of bots.performance.Metrics that follow from a curve, of the time-weighted returns. gained, and max_fall (the
    deepest fall of profit from a height before): in the currency. days: that all of this is of. Of trades, on the days
    of the period: trades, fees, orders (that closed something), win_rate, profit_factor and expectancy as there,
    turnover over the mean of the equity. exposure: what positions are worth now, of the equity.
    """
    found: dict[str, Any] = dict.fromkeys(_OF_A_CURVE)
    pnl = np.asarray(marks.pnl, float)
    worth = [value for value in marks.equity if value > 0]
    if len(pnl):
        of_curve = metrics(_curve(marks), _NO_TRADES)
        found.update((name, of_curve[name]) for name in _OF_A_CURVE)  # type: ignore[literal-required]
    sums = {name: sum(getattr(one, name) for one in traded) for name in Day._fields[3:]}
    return found | {
        "days": (marks.time[-1] - marks.time[0]) / 86_400 if len(pnl) else 0.0,
        "gained": float(pnl[-1] - pnl[0]) if len(pnl) else 0.0,
        "max_fall": float((pnl - np.maximum.accumulate(pnl)).min()) if len(pnl) else 0.0,
        "trades": sums["trades"],
        "orders": sums["orders"],
        "fees": sums["fees"],
        "win_rate": _over(sums["won"], sums["orders"]),
        "profit_factor": _over(sums["gains"], sums["losses"]),
        "expectancy": _over(sums["gains"] - sums["losses"], sums["orders"]),
        "turnover": _over(sums["cost"], sum(worth) / len(worth)) if worth else None,
        "exposure": _over(standing.value, standing.equity),
    }


_NO_TRADES = Trades(**{name: np.zeros(0, np.int64 if name in ("time", "order") else float) for name in COLUMNS})


def _curve(marks: Steps) -> Curve:
    """What one unit of money that was there all the time came to."""
    growth = np.cumprod(1.0 + np.maximum(marks.returns(), -1.0), dtype=np.float64)
    return Curve(1000 * np.asarray(marks.time[:-1], np.int64), growth, 1.0, marks.seconds, 1.0, 1.0)


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _day_rows(days: list[Day], standing: Now, today: date) -> list[DayRow]:
    """Gains from one midnight to the next, and of today until now."""
    marked = [(one.day, one.equity or 0.0, one.pnl) for one in days if one.pnl is not None and one.day < today]
    marked.append((today, standing.equity, standing.pnl))
    traded = {one.day: one for one in days}
    equity, pnl = ([0.0, *column] for column in zip(*(row[1:] for row in marked), strict=True))
    rates = history.returns(equity, pnl)
    return [
        DayRow(day, now - before, float(rate), worth, traded.get(day))
        for (day, worth, now), before, rate in zip(marked, pnl, rates, strict=False)
    ]


def _month(month: date, days: list[DayRow]) -> Month:
    growth = np.prod([1.0 + max(one.rate, -1.0) for one in days])
    return Month(month, sum(one.gained for one in days), float(growth) - 1.0)
