"""Every figure against a plain-Python reference of its own definition."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.performance import annual_return, daily_returns, drawdowns, metrics

HOUR = 3_600_000
DAY = 24 * HOUR
FIRST = 1_704_067_200_000  # 2024-01-01
CAPITAL = 1000.0


def figures(equity, position=None, trades=(), close=None, step=HOUR, first=FIRST):
    """metrics() of a curve; trades: (realized, fee, cost, order)."""
    count = len(equity)
    time = first + step * np.arange(count, dtype=np.int64)
    close = np.full(count, 100.0) if close is None else np.array(close, float)
    held = np.zeros(count) if position is None else np.array(position, float)
    realized, fees, cost, order = (list(column) for column in zip(*trades, strict=True)) if trades else ([],) * 4
    return metrics(
        time, close, np.array(equity, float), CAPITAL, held, np.array(realized, float), np.array(fees, float),
        np.array(cost, float), np.array(order, np.int64),
    )  # fmt: skip


def reference(equity, position, trades, close, step, first) -> dict:
    """The same from the words of the docstring, one number at a time."""
    by_day: dict = {}
    for index, value in enumerate(equity):
        by_day[datetime.fromtimestamp((first + index * step) / 1000, UTC).date()] = value
    ends = [CAPITAL, *by_day.values()]
    returns = [now / before - 1 for before, now in pairwise(ends)]
    total = equity[-1] / CAPITAL - 1
    years = (len(equity) - 1) * step / (365 * DAY)
    annual = (1 + total) ** (1 / years) - 1 if years >= 1 / 365 else None
    peak, deepest = CAPITAL, 0.0
    for value in equity:
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1)
    deviation = statistics.stdev(returns) if len(returns) > 1 else 0
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in returns) / len(returns))
    pace = statistics.fmean(returns) * math.sqrt(365)
    locked: dict = {}
    for realized, _, _, order in trades:
        locked[order] = locked.get(order, 0) + realized
    gains, losses = ([v for v in locked.values() if sign * v > 0] for sign in (1, -1))
    return {
        "total_return": total,
        "annual_return": annual,
        "volatility": deviation * math.sqrt(365) if deviation else None,
        "sharpe": pace / deviation if deviation else None,
        "sortino": pace / downside if downside else None,
        "calmar": annual / -deepest if deepest and annual is not None else None,
        "max_drawdown": deepest,
        "buy_and_hold": close[-1] / close[0] - 1,
        "exposure": sum(1 for p in position if p) / len(position),
        "trades": len(trades),
        "win_rate": len(gains) / len(gains + losses) if gains + losses else None,
        "profit_factor": sum(gains) / -sum(losses) if losses else None,
        "fees": sum(fee for _, fee, _, _ in trades),
        "turnover": sum(cost for _, _, cost, _ in trades) / CAPITAL,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("step", "count"), [(HOUR, 500), (60_000, 3000), (DAY, 400), (4 * HOUR, 7)])
def test_every_figure_is_what_its_definition_says(seed, step, count):
    random = np.random.default_rng(seed)
    equity = (CAPITAL * np.exp(np.cumsum(random.normal(0, 0.003, count)))).tolist()
    close = (100 * np.exp(np.cumsum(random.normal(0, 0.003, count)))).tolist()
    position = np.where(random.random(count) < 0.6, 1.0, 0.0).tolist()
    trades = [(float(random.choice([0, 5, -3, 2.5])), 0.1 * n, 50.0 + n, n // 2) for n in range(40)]
    first = FIRST + 5 * HOUR  # the first day is not whole
    found = figures(equity, position, trades, close, step, first)
    expected = reference(equity, position, trades, close, step, first)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)), name


def test_a_curve_by_hand():
    """Two days: 1000 → 1100 → 990."""
    found = figures([1100.0, 990.0], [1, 0], [(20, 1, 500, 1), (-10, 1, 400, 2)], [100, 110], step=DAY)
    assert found["total_return"] == pytest.approx(-0.01)
    assert found["max_drawdown"] == pytest.approx(-0.1)
    assert found["annual_return"] == pytest.approx(0.99**365 - 1)
    mean, deviation = (0.1 - 0.1) / 2, math.sqrt(2 * 0.1**2)
    assert found["volatility"] == pytest.approx(deviation * math.sqrt(365))
    assert found["sharpe"] == pytest.approx(mean / deviation, abs=1e-12)
    assert (found["exposure"], found["win_rate"], found["profit_factor"]) == (0.5, 0.5, 2.0)
    assert (found["fees"], found["turnover"], found["trades"]) == (2.0, 0.9, 2)
    assert found["buy_and_hold"] == pytest.approx(0.1)


def test_a_loss_with_the_first_trade_is_a_drawdown():
    """The capital before it counts as the first peak."""
    assert figures([990.0, 1005.0])["max_drawdown"] == pytest.approx(-0.01)
    assert drawdowns(np.array([990.0, 1005.0, 1000.0]), 1000.0).tolist() == pytest.approx([-0.01, 0, 1000 / 1005 - 1])


def test_a_day_is_measured_from_the_end_of_the_day_before():
    time = np.array([FIRST + 23 * HOUR, FIRST + DAY, FIRST + DAY + HOUR, FIRST + 3 * DAY])
    assert daily_returns(time, np.array([1010.0, 5.0, 1111.0, 1111.0]), 1000.0).tolist() == pytest.approx(
        [0.01, 0.1, 0]
    )


def test_nothing_happened_says_so_without_made_up_figures():
    found = figures([CAPITAL] * 100)
    undefined = {"volatility", "sharpe", "sortino", "calmar", "win_rate", "profit_factor"}
    assert {name for name, value in found.items() if value is None} == undefined
    rest = {name: value for name, value in found.items() if name not in undefined}
    assert set(rest.values()) == {0.0}


def test_one_bar_has_no_rates():
    found = figures([1010.0])
    for name in ("annual_return", "volatility", "sharpe", "sortino", "calmar"):
        assert found[name] is None, name
    assert found["total_return"] == pytest.approx(0.01)


def test_without_a_loss_there_is_no_profit_factor_and_without_a_gain_it_is_nothing():
    assert figures([1000.0, 1001.0], trades=[(5, 0, 1, 1)])["profit_factor"] is None
    assert figures([1000.0, 999.0], trades=[(-5, 0, 1, 1)])["profit_factor"] == 0
    assert figures([1000.0, 1001.0], trades=[(5, 0, 1, 1)])["win_rate"] == 1
    assert figures([1000.0, 999.0], trades=[(-5, 0, 1, 1)])["win_rate"] == 0


def test_trades_that_lock_in_nothing_are_neither_won_nor_lost():
    assert figures([1000.0, 1000.0], trades=[(0, 1, 100, 1), (0, 1, 100, 2)])["win_rate"] is None


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


PARTS = st.lists(
    st.tuples(st.floats(-50, 50), st.floats(0, 2), st.floats(1, 500), st.integers(1, 99)), min_size=1, max_size=20
)


@given(trades=PARTS, which=st.integers(0, 19))
def test_an_order_filled_in_two_parts_changes_no_figure_but_the_count(trades, which):
    equity = [1000.0, 1010.0, 990.0]
    whole = [(*trade[:3], number) for number, trade in enumerate(trades)]
    realized, fee, cost, order = whole[which % len(whole)]
    rest = [trade for trade in whole if trade[3] != order]
    parts = [(realized * part, fee * part, cost * part, order) for part in (0.25, 0.75)]
    before, after = figures(equity, trades=whole), figures(equity, trades=rest + parts)
    assert after.pop("trades") == before.pop("trades") + 1
    for name, value in before.items():
        assert after[name] == (None if value is None else pytest.approx(value, rel=1e-9)), name


@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=50), st.integers(0, 3))
def test_no_curve_gives_a_figure_that_is_not_finite(equity, timeframe):
    found = figures(equity, step=(60_000, HOUR, DAY, 7 * DAY)[timeframe])
    assert all(value is None or math.isfinite(value) for value in found.values())
