"""The performance page's figures as text: tables, heat map, calendar."""

from __future__ import annotations

import calendar as calendars
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString

from dashboard import annual, formats
from dashboard.performance import DayRow, Month, Now, Performance
from dashboard.standings import Group

MONTHS: Final = [calendars.month_abbr[number] for number in range(1, 13)]
MOST_GROUPS = 24
_SHORT = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def totals(did: Performance, standing: Now, currency: str) -> list[dict[str, Any]]:
    """The strip at the top."""
    found = annual.told(did.figures, did.figures["days"])

    def figure(label: str, value: Any, note: Any, hint: str) -> dict[str, Any]:
        return {"label": label, "value": value, "note": note, "hint": hint}

    return [
        figure(
            f"PnL, {currency}", formats.money_change(found["gained"], currency),
            formats.percent_change(found["total_return"]),
            "In this period, open positions at the last price; % of the money that was at work, time-weighted.",
        ),
        figure(
            "Deepest drawdown", formats.percent(found["max_drawdown"]), formats.money(found["max_fall"], currency),
            "The furthest that the value of one unit of money, and the profit, fell from a height before.",
        ),
        figure(
            "Sharpe ratio", formats.number(found["sharpe"], 2), f"Sortino {formats.number(found['sortino'], 2)}",
            f"Mean over standard deviation of daily returns × √365. {annual.TOLD}",
        ),
        figure(
            "Won", formats.percent(found["win_rate"]), f"of {formats.number(found['orders'], 0)} closing orders",
            "Orders that closed a position or a part of one with a gain after fees.",
        ),
        figure(
            "Fees", formats.money(found["fees"], currency), f"{formats.number(found['trades'], 0)} trades",
            "What the exchange took for the trades of this period.",
        ),
        figure(
            "All time", formats.money_change(standing.pnl, currency), "",
            "Equity less allocation, over every run there was.",
        ),
    ]  # fmt: skip


def sections(found: dict[str, Any], currency: str) -> list[tuple[str, list[tuple[str, Any, str]]]]:
    """(heading, [(label, text, explanation)]) of the metrics table."""
    return [("Return", _returns(found)), ("Drawdown", _drawdowns(found)), ("Trades", _trades(found, currency))]


def _returns(found: dict[str, Any]) -> list[tuple[str, Any, str]]:
    found = annual.told(found, found["days"])
    return [
        ("Return", formats.percent_change(found["total_return"]), "Time-weighted: money given or taken is no gain."),
        (
            "Return at a year's pace", formats.percent_change(found["annual_return"]),
            f"Compounded over 365 days. {annual.TOLD}",
        ),
        (
            "Volatility, a year", formats.percent(found["volatility"]),
            f"Standard deviation of daily returns × √365. {annual.TOLD}",
        ),
        (
            "Sharpe ratio", formats.number(found["sharpe"], 2),
            f"Mean over standard deviation of daily returns × √365. {annual.TOLD}",
        ),
        (
            "Sortino ratio", formats.number(found["sortino"], 2),
            f"The same over the losing days' deviation alone. {annual.TOLD}",
        ),
        ("Calmar ratio", formats.number(found["calmar"], 2), f"A year's pace over the deepest drawdown. {annual.TOLD}"),
    ]  # fmt: skip


def _drawdowns(found: dict[str, Any]) -> list[tuple[str, Any, str]]:
    recovered = _moment(found["drawdown_recovery"]) if found["drawdown_recovery"] else "Not yet"
    return [
        ("Deepest", formats.percent(found["max_drawdown"]), "Lowest value over the highest before it, less 1."),
        ("Peak before it", _moment(found["drawdown_peak"]), "UTC."),
        ("Low", _moment(found["drawdown_low"]), "UTC."),
        ("Back at the peak", recovered if found["drawdown_peak"] else formats.NOTHING, "UTC."),
        ("Length", _length(found["drawdown_length"]), "From the peak until it was there again, or until now."),
        ("Time under water", formats.percent(found["under_water"]), "Of all time, below a height before."),
        ("Longest under water", _length(found["longest_under_water"]), "From a peak until it was there again."),
    ]


def _trades(found: dict[str, Any], currency: str) -> list[tuple[str, Any, str]]:
    return [
        ("Trades", formats.number(found["trades"], 0), "Executions, whole days."),
        ("Won", formats.percent(found["win_rate"]), "Of orders that closed something, after fees of both sides."),
        ("Profit factor", formats.number(found["profit_factor"], 2), "Gains of those that won over losses of others."),
        ("Expectancy", formats.money_change(found["expectancy"], currency), "Mean result of a closing order."),
        ("Fees", formats.money(found["fees"], currency), "Of all trades."),
        ("Turnover", formats.times(found["turnover"]), "Bought and sold, over the mean equity."),
        ("Exposure now", formats.percent(found["exposure"]), "What open positions are worth, of the equity."),
    ]


def _moment(ms: int | None) -> str:
    time = formats.from_ms(ms)
    return f"{time:%Y-%m-%d %H:%M}" if time else formats.NOTHING


def _length(ms: int | None) -> str:
    return formats.NOTHING if ms is None else formats.duration(timedelta(milliseconds=ms))


class HeatRow(NamedTuple):
    """cells: (text, class, explanation) of each month and of the year."""

    year: int
    cells: list[tuple[str, str, str]]


def month_heat(months: Sequence[Month]) -> list[HeatRow]:
    """Returns by year and month, the latest year first."""
    furthest = max((abs(one.rate) for one in months), default=0.0)
    years = [(year, list(of)) for year, of in groupby(months, lambda one: one.month.year)]
    return [_heat_row(year, of, furthest) for year, of in reversed(years)]


def _heat_row(year: int, of: list[Month], furthest: float) -> HeatRow:
    by_month = {one.month.month: one.rate for one in of}
    growth = 1.0
    for rate in by_month.values():
        growth *= 1.0 + rate
    rates = [by_month.get(number) for number in range(1, 13)]
    cells = [("" if rate is None else _signed(rate), look(rate, furthest), "") for rate in rates]
    return HeatRow(year, [*cells, (_signed(growth - 1.0), "", "Of the year, compounded")])


def _signed(rate: float) -> str:
    text = formats.percent(rate)
    return f"+{text}" if rate > 0 and not text.startswith("0.00") else text


def look(value: float | None, furthest: float) -> str:
    """The class of a cell: how far it is, in three steps to the furthest."""
    if not value or not furthest:
        return ""
    return f"heat-{'up' if value > 0 else 'down'}{min(3, int(3 * abs(value) / furthest) + 1)}"


class CalendarDay(NamedTuple):
    """number is 0 outside of the month; text is "" on days before the book began and after today."""

    number: int
    text: str
    full: str
    look: str


class Calendar(NamedTuple):
    """before, after: months as 2026-11, "" where there is nothing."""

    title: str
    before: str
    after: str
    weeks: list[tuple[list[CalendarDay], SafeString]]
    total: SafeString


def calendar(days: Sequence[DayRow], month: date, currency: str) -> Calendar:
    """Profit by day of one month, Monday first, and by week."""
    own = {one.day.day: one.gained for one in days if one.day.replace(day=1) == month}
    furthest = max((abs(gained) for gained in own.values()), default=0.0)
    weeks = [
        (
            [_calendar_day(number, own.get(number), furthest, currency) for number in week],
            formats.money_change(_known_sum(own.get(number) for number in week), currency),
        )
        for week in calendars.Calendar().monthdayscalendar(month.year, month.month)
    ]
    first, last = days[0].day.replace(day=1), days[-1].day.replace(day=1)
    before, after = month - timedelta(days=1), month + timedelta(days=31)
    return Calendar(
        f"{month:%B %Y}",
        f"{before:%Y-%m}" if first < month else "",
        f"{after:%Y-%m}" if month < last else "",
        weeks,
        formats.money_change(_known_sum(own.values()), currency),
    )


def _known_sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _calendar_day(number: int, gained: float | None, furthest: float, currency: str) -> CalendarDay:
    if gained is None:
        return CalendarDay(number, "", "", "")
    return CalendarDay(number, short(gained), f"{formats.money(gained, currency)} {currency}", look(gained, furthest))


def short(value: float) -> str:
    """A gain or loss in about four characters: +12.3, −1.2k."""
    size = abs(value)
    unit, letter = next(((unit, letter) for unit, letter in _SHORT if size >= unit), (1.0, ""))
    digits = 1 if size / unit < 100 else 0
    text = formats.number(value / unit, 2 if size < 10 else digits)
    return f"{'+' if value > 0 and any(one in text for one in '123456789') else ''}{text}{letter}"


class GroupRow(NamedTuple):
    """width: of the bar, 0 to 50; a loss's begins that far left of the middle."""

    key: Any
    label: str
    bots: int
    gained: SafeString
    look: str
    left: float
    width: float
    pnl: SafeString
    equity: str
    trades: str
    fees: str
    funding: str


class Shares(NamedTuple):
    rows: list[GroupRow]
    left_out: int


def group_rows(groups: Sequence[Group], currency: str) -> Shares:
    """The best and the worst; how many lie between and are left out."""
    half = MOST_GROUPS // 2
    shown = groups if len(groups) <= MOST_GROUPS else [*groups[:half], *groups[-half:]]
    furthest = max((abs(one.gained) for one in shown), default=0.0)
    return Shares([_group_row(one, furthest, currency) for one in shown], len(groups) - len(shown))


def _group_row(one: Group, furthest: float, currency: str) -> GroupRow:
    width = round(50 * abs(one.gained) / furthest, 1) if furthest else 0.0
    return GroupRow(
        one.key, one.label, one.bots, formats.money_change(one.gained, currency),
        "bar-gain" if one.gained > 0 else "bar-loss", 50.0 if one.gained > 0 else 50.0 - width, width,
        formats.money_change(one.pnl, currency), formats.money(one.equity, currency), formats.number(one.trades, 0),
        formats.money(one.fees, currency), formats.money(one.funding, currency),
    )  # fmt: skip


def day_rows(days: Iterable[DayRow], currency: str) -> list[tuple[Any, ...]]:
    """(day, gained, rate, equity, trades, fees) as text."""
    return [
        (
            f"{one.day:%Y-%m-%d}", formats.money_change(one.gained, currency), formats.percent_change(one.rate),
            formats.money(one.equity, currency), formats.number(one.traded.trades if one.traded else 0, 0),
            formats.money(one.traded.fees if one.traded else 0.0, currency),
        )
        for one in days
    ]  # fmt: skip


def correlation_rows(groups: Sequence[Group], matrix: Sequence[Sequence[float | None]]) -> list[tuple[Any, ...]]:
    """(bot, its name, [(text, class)]) of each bot."""
    return [
        (one.key, one.label, [(formats.number(value, 2), look(value, 1.0)) for value in values])
        for one, values in zip(groups, matrix, strict=True)
    ]
