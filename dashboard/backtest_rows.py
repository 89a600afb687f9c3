"""Backtests as the templates print them: rows of the list, figures, the table and heat map of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import prod
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString

from bots.kinds import KINDS
from bots.kinds.parameters import Parameter
from bots.models import Backtest
from dashboard import annual, formats, rows
from markets import gaps
from markets.series import TIMEFRAME_NAMES

# Name in the metrics -> label, and how it is printed.
FIGURES: Final = {
    "total_return": ("Return", formats.percent_change),
    "buy_and_hold": ("Buy and hold", formats.percent_change),
    "annual_return": ("Return at a year's pace", formats.percent_change),
    "max_drawdown": ("Deepest drawdown", formats.percent),
    "under_water": ("Time under water", formats.percent),
    "sharpe": ("Sharpe ratio", lambda value: formats.number(value, 2)),
    "sortino": ("Sortino ratio", lambda value: formats.number(value, 2)),
    "calmar": ("Calmar ratio", lambda value: formats.number(value, 2)),
    "volatility": ("Volatility, a year", formats.percent),
    "exposure": ("Time in the market", formats.percent),
    "trades": ("Trades", lambda value: formats.number(value, 0)),
    "win_rate": ("Won", formats.percent),
    "profit_factor": ("Profit factor", lambda value: formats.number(value, 2)),
    "expectancy": ("Expectancy, a closing order", lambda value: formats.number(value, 2)),
    "fees": ("Fees", lambda value: formats.number(value, 2)),
    "turnover": ("Turnover", formats.times),
}


MONEY: Final = ("expectancy", "fees")
DAY: Final = 86_400_000


class BacktestRow(NamedTuple):
    backtest: Backtest
    kind: str
    timeframe: str
    period: str
    total_return: SafeString
    drawdown: str
    trades: str
    asked: SafeString
    progress: str
    sets: int


def backtest_rows(found: Iterable[Backtest], now: datetime) -> list[BacktestRow]:
    return [backtest_row(one, now) for one in found]


def backtest_row(one: Backtest, now: datetime) -> BacktestRow:
    metrics = one.metrics
    return BacktestRow(
        backtest=one,
        kind=rows.kind_label(one.kind),
        timeframe=TIMEFRAME_NAMES.get(one.timeframe, ""),
        period=f"{_day(one.begin)} … {_day(one.end)}",
        total_return=formats.percent_change(metrics.get("total_return")),
        drawdown=formats.percent(metrics.get("max_drawdown")),
        trades=formats.number(metrics.get("trades"), 0),
        asked=formats.when(one.created_at, now),
        progress=formats.percent(one.progress),
        sets=prod(len(values) for values in one.grid.values()),
    )


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


def figures(one: Backtest) -> list[tuple[str, Any, str]]:
    """(label, text, explanation) of each metric, and the bounds."""
    known = annual.told(one.metrics, (one.end - one.begin + one.timeframe * 1000) / DAY)
    found = [
        (label, _with_unit(name, text(known.get(name)), one), annual.TOLD if name in annual.FIGURES else "")
        for name, (label, text) in FIGURES.items()
    ]
    capital = float(one.allocation)
    for name in ("worst", "best"):
        end = one.bounds.get(name)
        text = formats.percent_change(None if end is None else end / capital - 1.0)
        found.insert(1, (f"Return at {name}", text, ""))
    return found


def _with_unit(name: str, text: str, one: Backtest) -> str:
    return f"{text} {one.market.quote}" if name in MONEY and text != formats.NOTHING else text


class SetRow(NamedTuple):
    number: int
    values: list[str]
    total_return: SafeString
    trades: str
    drawdown: str


def holes(one: Backtest) -> str:
    """The sentence about candles that its period lacks, and how many the exchange never had; "" without any.

    One query where there are some, none else.
    """
    missing = (one.end - one.begin) // (one.timeframe * 1000) + 1 - one.bars
    if missing <= 0:
        return ""
    told = gaps.summaries(one.market_id, one.timeframe, one.begin, one.end).get(one.timeframe)
    declared = min(told.candles if told else 0, missing)
    lack = f"{missing:,} candle{'s' * (missing != 1)} of this period {'is' if missing == 1 else 'are'} missing"
    if declared == missing:
        return f"{lack}: the exchange has none there, and the price leaps."
    known = f"; the exchange has none of {declared:,} of them" if declared else ""
    return f"{lack}{known}. The price leaps there; what is repaired meanwhile is in the next run."


def labels(one: Backtest) -> dict[str, str]:
    """Of each parameter of a grid its label: the kind's, or its name in words when the kind is unknown."""
    known = _described(one)
    return {name: known[name].label if name in known else formats.words(name) for name in one.grid}


def _described(one: Backtest) -> dict[str, Parameter]:
    kind = KINDS.get(one.kind)
    return {parameter.name: parameter for parameter in kind.parameters()} if kind else {}


def set_rows(one: Backtest, most: int) -> list[SetRow]:
    """The best sets of a grid."""
    order = sorted(range(len(one.results)), key=lambda index: float(one.results[index][2]), reverse=True)
    known = _described(one)
    return [_set_row(one, index, known) for index in order[:most]]


def _set_row(one: Backtest, index: int, known: Mapping[str, Parameter]) -> SetRow:
    chosen, trades, equity, drawdown = one.results[index]
    return SetRow(
        index,
        [rows.value_text(known.get(name), chosen.get(name, one.params.get(name))) for name in one.grid],
        formats.percent_change(equity / float(one.allocation) - 1.0),
        formats.number(trades, 0),
        formats.percent(drawdown),
    )


class Heat(NamedTuple):
    """across and down: labels. Columns are values of the one, rows those of the other; a cell is (text, class)."""

    across: str
    down: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


def heat(one: Backtest, across: str, down: str) -> Heat | None:
    """The returns of a grid over two of its parameters, the best over the others; None when it has fewer."""
    if across not in one.grid or down not in one.grid:
        return None
    known, best = _described(one), dict[tuple[str, ...], float]()
    for chosen, _, equity, _ in one.results:
        key = tuple(rows.value_text(known.get(name), chosen.get(name, one.params.get(name))) for name in (across, down))
        best[key] = max(best.get(key, float("-inf")), equity / float(one.allocation) - 1.0)
    columns, lines = ([rows.value_text(known.get(name), value) for value in one.grid[name]] for name in (across, down))
    found = list(best.values()) or [0.0]
    cells = [(line, [_cell(best.get((column, line)), found) for column in columns]) for line in dict.fromkeys(lines)]
    called = labels(one)
    return Heat(called[across], called[down], columns, cells)


def _cell(value: float | None, found: Sequence[float]) -> tuple[str, str]:
    """Text and class of a return among all that were found: as deep as it is far from none.

    Where all gained, or all lost, the least of them is the palest, or no difference could be seen.
    """
    if value is None:
        return formats.NOTHING, ""
    sizes = [abs(one) for one in found]
    palest = 0.0 if min(found) < 0.0 < max(found) else min(sizes)
    depth = 1 + min(2, int(3 * (abs(value) - palest) / ((max(sizes) - palest) or 1.0)))
    look = f"heat-{'up' if value > 0 else 'down'}{depth}" if value else ""
    return formats.percent(value), f"{look} heat-best" if value == max(found) else look
