"""What must not change a figure."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bots.performance.conftest import DAY, FIRST, HOUR, MINUTE, curve, executed, measured

MONEY = {"expectancy", "fees"}
COUNTS = {"trades"}
EQUITY = [1000.0, 1010.0, 990.0, 1020.0]
# Hour, lots of 0.25, price, fee.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(-20, 20).filter(bool), st.integers(50, 150), st.integers(0, 8)
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


def dealt(drawn):
    """Rows of trades, one an order, oldest first. Amounts and fees are exact in binary."""
    return [
        (FIRST + hour * HOUR, lots / 4, price, fee / 8, number)
        for number, (hour, lots, price, fee) in enumerate(sorted(drawn, key=lambda row: row[0]))
    ]


def same(before, after, but=()):
    for name, value in before.items():
        if name not in but:
            assert after[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)), name


@given(drawn=ROWS, which=st.integers(0, 11), part=st.sampled_from([0.25, 0.5, 0.75]))
def test_a_trade_split_in_two_changes_no_figure_but_the_count(drawn, which, part):
    rows = dealt(drawn)
    at = which % len(rows)
    time, change, price, fee, order = rows[at]
    parts = [(time, change * p, price, fee * p, order) for p in (part, 1 - part)]
    before, after = measured(EQUITY, rows), measured(EQUITY, [*rows[:at], *parts, *rows[at + 1 :]])
    assert after["trades"] == before["trades"] + 1
    same(before, after, but=COUNTS)


@given(drawn=ROWS, scale=st.sampled_from([0.001, 0.5, 7.0, 25_000.0]))
def test_counting_in_another_currency_changes_no_rate(drawn, scale):
    rows = dealt(drawn)
    before = measured(EQUITY, rows)
    exact = Decimal(str(scale))
    scaled = [(t, c, Decimal(p) * exact, Decimal(str(f)) * exact, o) for t, c, p, f, o in rows]
    options = {"capital": 1000 * scale, "opened": 100 * scale, "closed": 100 * scale}
    after = measured([value * scale for value in EQUITY], scaled, **options)
    same({name: value for name, value in before.items() if name not in MONEY}, after)
    for name in MONEY:
        assert after[name] == (
            None if before[name] is None else pytest.approx(before[name] * scale, rel=1e-9, abs=1e-9 * scale)
        )


@given(drawn=ROWS, days=st.integers(-3000, 3000))
def test_another_year_changes_no_figure_but_the_dates(drawn, days):
    moments = ("drawdown_peak", "drawdown_low", "drawdown_recovery")
    rows, later = dealt(drawn), days * DAY
    before = measured(EQUITY, rows)
    after = measured(EQUITY, [(row[0] + later, *row[1:]) for row in rows], first=FIRST + later)
    same(before, after, but=moments)
    for name in moments:
        assert after[name] == (None if before[name] is None else before[name] + later)


@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=50), st.sampled_from([MINUTE, HOUR, DAY, 7 * DAY]))
def test_no_curve_gives_a_figure_that_is_not_finite(equity, step):
    found = measured(equity, step=step)
    assert all(value is None or math.isfinite(value) for value in found.values())


@given(ROWS)
def test_shares_are_shares_and_results_add_up(drawn):
    rows = dealt(drawn)
    found = measured(EQUITY, rows)
    for name in ("exposure", "under_water"):
        assert 0 <= found[name] <= 1
    assert found["win_rate"] is None or 0 <= found["win_rate"] <= 1
    assert (found["win_rate"] is None) == (found["expectancy"] is None)


@given(ROWS)
def test_what_orders_of_a_flat_run_locked_in_is_its_profit(drawn):
    """When all is sold at the end, the results of the orders are the realized profit less all fees."""
    rows = dealt(drawn)
    left = sum(row[1] for row in rows)
    rows += [(FIRST + 3 * HOUR, -left, 100, 0.5, len(rows))] if left else []
    found, trades = measured(EQUITY, rows), executed(rows)
    closing = sum(closes(rows))
    assert found["expectancy"] * closing == pytest.approx(float(trades.realized.sum()) - found["fees"], abs=1e-9)
    assert curve(EQUITY).end == FIRST + 4 * HOUR


def closes(rows):
    position = 0.0
    for _, change, *_ in rows:
        yield position * change < 0
        position += change
