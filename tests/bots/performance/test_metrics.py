"""Every figure against a plain-Python reference of its own definition, and by hand."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from bots.book import Book
from bots.performance import annual_return, metrics
from tests.bots.performance.conftest import CAPITAL, DAY, FIRST, HOUR, MINUTE, curve, executed, measured

UNDEFINED_WHEN_NOTHING_HAPPENED = {
    "volatility", "sharpe", "sortino", "calmar", "drawdown_peak", "drawdown_low", "drawdown_recovery",
    "drawdown_length", "win_rate", "profit_factor", "expectancy",
}  # fmt: skip


def reference(equity, rows, step, first, opened, closed) -> dict:
    """The same from the words of the docstrings, one number at a time."""
    span = len(equity) * step
    returns = reference_days(equity, step, first)
    total, held = equity[-1] / CAPITAL - 1, closed / opened - 1
    annual = (1 + total) ** (365 * DAY / span) - 1 if span >= DAY else None
    deviation = statistics.stdev(returns) if len(returns) > 1 else 0
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in returns) / len(returns))
    pace = statistics.fmean(returns) * math.sqrt(365)
    fallen = reference_falls(equity, step, first)
    deepest = fallen["max_drawdown"]
    return fallen | reference_orders(rows) | {
        "total_return": total,
        "annual_return": annual,
        "buy_and_hold": held,
        "excess_return": total - held,
        "volatility": deviation * math.sqrt(365) if deviation else None,
        "sharpe": pace / deviation if deviation else None,
        "sortino": pace / downside if downside else None,
        "calmar": annual / -deepest if deepest and annual is not None else None,
        "exposure": reference_exposure(rows, first, first + span),
        "trades": len(rows),
        "fees": sum(float(fee) for *_, fee, _ in rows),
        "turnover": sum(abs(change) * price for _, change, price, *_ in rows) / CAPITAL,
    }  # fmt: skip


def reference_days(equity, step, first):
    by_day: dict = {}
    for index, value in enumerate(equity):
        by_day[datetime.fromtimestamp((first + index * step) / 1000, UTC).date()] = value
    return [now / before - 1 for before, now in pairwise([CAPITAL, *by_day.values()])]


def reference_falls(equity, step, first):
    """For each moment the moment of the peak before it, looked for from the start."""
    values = [CAPITAL, *equity]
    moments = [first + index * step for index in range(len(values))]
    peaks, peak = [], 0
    for index, value in enumerate(values):
        peak = index if value >= values[peak] else peak
        peaks.append(peak)
    depths = [value / values[at] - 1 for value, at in zip(values, peaks, strict=True)]
    low = depths.index(min(depths))
    below = [index for index, at in enumerate(peaks) if at != index]
    back = next((i for i in range(low, len(values)) if peaks[i] == i), None) if below else None
    end = moments[-1] if back is None else moments[back]
    longest = [moments[min(index + 1, len(values) - 1)] - moments[peaks[index]] for index in below]
    return {
        "max_drawdown": depths[low],
        "drawdown_peak": moments[peaks[low]] if below else None,
        "drawdown_low": moments[low] if below else None,
        "drawdown_recovery": None if back is None else moments[back],
        "drawdown_length": end - moments[peaks[low]] if below else None,
        "under_water": len(below) / len(equity),
        "longest_under_water": max(longest, default=0),
    }


def reference_exposure(rows, begin, end):
    position, held, since = 0.0, 0, begin
    for time, change, *_ in [*rows, (end, 0)]:
        held += time - since if abs(position) > 1e-9 else 0
        position, since = position + change, time
    return held / (end - begin)


def reference_orders(rows):
    """Fees as a part of the price: what the exact ledger then locks in is after the fees of both sides."""
    book, locked = Book(Decimal(0)), {}
    for _, change, price, fee, order in rows:
        side, amount = (1 if change > 0 else -1), abs(Decimal(str(change)))
        closes = book.position * side < 0
        profit = book.apply(side, Decimal(str(price)) + side * Decimal(str(fee)) / amount, amount, Decimal(0))
        if closes:
            locked[order] = locked.get(order, 0.0) + float(profit)
    gains = [value for value in locked.values() if value > 0]
    losses = [value for value in locked.values() if value <= 0]
    return {
        "win_rate": len(gains) / len(locked) if locked else None,
        "profit_factor": sum(gains) / -sum(losses) if losses else None,
        "expectancy": statistics.fmean(locked.values()) if locked else None,
    }


def walk(random, count):
    return (CAPITAL * np.exp(np.cumsum(random.normal(0, 0.003, count)))).tolist()


def dealings(random, times, short):
    """Trades in steps of a lot: parts of orders, closings beyond the position when it may be short."""
    rows, position = [], 0.0
    for number in range(60):
        change = round(float(random.choice([-2, -1, -0.5, 0.25, 0.5, 1, 2])), 2)
        if not short and position + change < 0:
            change = -position or 1.0
        position += change
        price = round(float(100 + random.normal(0, 5)), 2)
        rows.append((int(times[number]), change, price, round(abs(change) * price * 0.001, 8), number // 2))
    return rows


@pytest.mark.parametrize("short", [False, True], ids=["long", "both"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("step", "count"), [(HOUR, 500), (MINUTE, 3000), (DAY, 400), (4 * HOUR, 7)])
def test_every_figure_is_what_its_definition_says(seed, step, count, short):
    random = np.random.default_rng(seed)
    first = FIRST + 5 * HOUR  # the first day is not whole
    times = np.sort(first + step * random.integers(0, count, 60))
    equity, rows = walk(random, count), dealings(random, times, short)
    opened, closed = 100.0, float(100 * np.exp(random.normal(0, 0.2)))
    found = metrics(curve(equity, step, first, opened=opened, closed=closed), executed(rows))
    expected = reference(equity, rows, step, first, opened, closed)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)), name


def test_a_run_by_hand():
    """Three days: 1000 → 1100 → 990 → 1045. One coin is bought at 100 and sold in halves, at 110 and at 90."""
    rows = [
        (FIRST, 1, 100, 1, 1),
        (FIRST + DAY, -0.5, 110, 0.25, 2),
        (FIRST + 2 * DAY, -0.5, 90, 0.25, 3),
    ]
    found = measured([1100, 990, 1045], rows, step=DAY, opened=100, closed=103)
    assert found["total_return"] == pytest.approx(0.045)
    assert found["annual_return"] == pytest.approx(1.045 ** (365 / 3) - 1)
    assert found["buy_and_hold"] == pytest.approx(0.03)
    assert found["excess_return"] == pytest.approx(0.015)
    days = [0.1, -0.1, 1045 / 990 - 1]
    assert found["volatility"] == pytest.approx(statistics.stdev(days) * math.sqrt(365))
    assert found["sharpe"] == pytest.approx(statistics.fmean(days) / statistics.stdev(days) * math.sqrt(365))
    assert found["sortino"] == pytest.approx(statistics.fmean(days) / math.sqrt(0.01 / 3) * math.sqrt(365))
    assert found["max_drawdown"] == pytest.approx(-0.1)
    assert found["calmar"] == pytest.approx(found["annual_return"] / 0.1)
    # At each close: the peak a day after the start, the low another day later, no recovery.
    assert (found["drawdown_peak"], found["drawdown_low"]) == (FIRST + DAY, FIRST + 2 * DAY)
    assert (found["drawdown_recovery"], found["drawdown_length"]) == (None, 2 * DAY)
    assert (found["under_water"], found["longest_under_water"]) == (pytest.approx(2 / 3), 2 * DAY)
    # Half the entry fee each: 5 - 0.5 - 0.25 won, -5 - 0.5 - 0.25 lost.
    assert found["win_rate"] == 0.5
    assert found["profit_factor"] == pytest.approx(4.25 / 5.75)
    assert found["expectancy"] == pytest.approx(-0.75)
    assert (found["trades"], found["fees"]) == (3, 1.5)
    assert found["turnover"] == pytest.approx(0.2)
    assert found["exposure"] == pytest.approx(2 / 3)


DRAWDOWNS = [
    # equity at each close, capital 1000: depth, bar of peak (-1: the start), of low, of recovery
    ([990, 1005], (-0.01, -1, 0, 1)),
    ([990, 980], (-0.02, -1, 1, None)),
    ([1100, 1100, 1050, 1100, 1099], (-50 / 1100, 1, 2, 3)),  # the last moment at the peak counts
    ([1100, 880, 1100, 1210, 1089, 1300], (-0.2, 0, 1, 2)),  # the deepest, not the last
    ([900, 1000, 900, 1000], (-0.1, -1, 0, 1)),  # the first of equals
    ([1000, 0, 0], (-1.0, 0, 1, None)),
    ([1000, -500, 0], (-1.5, 0, 1, None)),  # a debt
]


@pytest.mark.parametrize(("equity", "expected"), DRAWDOWNS)
def test_the_deepest_drawdown(equity, expected):
    """A loss with the first trade is one too: the capital counts as the first peak."""
    depth, peak, low, back = expected
    found = measured(equity)
    close = [FIRST + HOUR * (index + 1) for index in range(len(equity))]
    assert found["max_drawdown"] == pytest.approx(depth)
    assert found["drawdown_peak"] == (FIRST if peak < 0 else close[peak])
    assert found["drawdown_low"] == close[low]
    assert found["drawdown_recovery"] == (None if back is None else close[back])
    assert found["drawdown_length"] == close[-1 if back is None else back] - found["drawdown_peak"]


def test_the_longest_time_under_water_need_not_be_the_deepest():
    found = measured([800, 1000, 999, 999, 999, 1001])
    assert (found["drawdown_length"], found["longest_under_water"]) == (2 * HOUR, 4 * HOUR)
    assert found["under_water"] == pytest.approx(4 / 6)


def test_nothing_happened_says_so_without_made_up_figures():
    found = measured([CAPITAL] * 100)
    assert {name for name, value in found.items() if value is None} == UNDEFINED_WHEN_NOTHING_HAPPENED
    rest = {name: value for name, value in found.items() if name not in UNDEFINED_WHEN_NOTHING_HAPPENED}
    assert set(rest.values()) == {0.0}


def test_one_bar_has_no_rates():
    found = measured([1010.0])
    for name in ("annual_return", "volatility", "sharpe", "sortino", "calmar"):
        assert found[name] is None, name
    assert found["total_return"] == pytest.approx(0.01)


def test_after_a_total_loss_returns_have_no_meaning():
    found = measured([1000, 0, 0, 5], step=DAY)
    assert [found[name] for name in ("volatility", "sharpe", "sortino")] == [None] * 3
    assert found["total_return"] == pytest.approx(-0.995)
    assert measured([1000, 0], step=DAY)["annual_return"] is None


def test_returns_that_never_vary_have_no_ratio():
    found = measured([CAPITAL * 1.01 ** (day + 1) for day in range(10)], step=DAY)
    assert [found[name] for name in ("volatility", "sharpe", "sortino", "calmar")] == [None] * 4
    assert found["annual_return"] == pytest.approx(1.01**365 - 1)


@pytest.mark.parametrize(
    ("total", "span", "expected"),
    [
        (0.1, DAY - 1, None),
        (0.1, DAY, 1.1**365 - 1),
        (0.1, 365 * DAY, 0.1),
        (0.21, 730 * DAY, 0.1),
        (-1.0, 365 * DAY, None),
        (-1.5, 365 * DAY, None),
        (50.0, DAY, None),
    ],
)
def test_the_pace_of_a_year_where_it_has_a_meaning(total, span, expected):
    """51 times the money in a day is no pace that a float holds."""
    assert annual_return(total, span) == (None if expected is None else pytest.approx(expected))
