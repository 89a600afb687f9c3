"""The document of backtest and paper_replay: for programs as it is, for a person in lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bots.performance import Curve, Trades, daily_returns, metrics, monthly_returns
from bots.records import moment

NOTHING = "–"


def figures(curve: Curve, trades: Trades) -> dict[str, Any]:
    """All metrics by name, with the returns of days and months by date; as JSON takes them."""
    periods = {"daily_returns": daily_returns(curve), "monthly_returns": monthly_returns(curve)}
    return {**metrics(curve, trades), **{name: returns.by_date() for name, returns in periods.items()}}


def lines(document: dict[str, Any], quote: str) -> list[str]:
    """The document for a person: a figure a line, then a month a line."""
    found = document["metrics"]
    rows = {key: value for key, value in document.items() if key != "metrics"}
    rows |= {key: value for key, value in found.items() if not isinstance(value, dict)}
    told = [(name.replace("_", " "), FORMATS.get(name, _number)(value)) for name, value in rows.items()]
    told += _extremes(found["daily_returns"])
    told += [(month, _change(value)) for month, value in found["monthly_returns"].items()]
    width = max(len(name) for name, _ in told)
    return [f"{name:<{width}}  {text}" for name, text in told] + [f"money in {quote}, times in UTC"]


def _extremes(days: dict[str, float | None]) -> list[tuple[str, str]]:
    """The best and the worst day with their dates."""
    known = {date: value for date, value in days.items() if value is not None}
    if not known:
        return [("best day", NOTHING), ("worst day", NOTHING)]
    best, worst = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    return [(name, f"{_change(days[date])}  {date}") for name, date in (("best day", best), ("worst day", worst))]


def _number(value: float | int | None) -> str:
    return NOTHING if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _money(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


def _change(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:+,.2f} %"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:,.2f} %"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"


def _moment(ms: int | None) -> str:
    return NOTHING if ms is None else f"{moment(ms):%Y-%m-%d %H:%M}"


def _length(ms: int | None) -> str:
    """The two largest units: 27 d 3 h, 3 h 5 min."""
    if ms is None:
        return NOTHING
    hours, minutes = divmod(ms // 60_000, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"


FORMATS: dict[str, Callable[[Any], str]] = {
    "final_equity": _money, "worst_equity": _money, "best_equity": _money, "funding": _money,
    "expectancy": _money, "fees": _money,
    "total_return": _change, "annual_return": _change, "buy_and_hold": _change, "excess_return": _change,
    "max_drawdown": _change,
    "volatility": _share, "under_water": _share, "exposure": _share, "win_rate": _share,
    "sharpe": _ratio, "sortino": _ratio, "calmar": _ratio, "profit_factor": _ratio, "turnover": _ratio,
    "drawdown_peak": _moment, "drawdown_low": _moment, "drawdown_recovery": _moment,
    "drawdown_length": _length, "longest_under_water": _length,
}  # fmt: skip
