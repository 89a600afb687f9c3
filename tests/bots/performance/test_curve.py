"""Returns of days and months, bad curves, and what a long curve costs."""

from __future__ import annotations

import re
import tracemalloc

import numba
import numpy as np
import pytest

from bots.performance import Curve, Trades, daily_returns, metrics, monthly_returns
from bots.performance.curve import _scan
from bots.performance.trades import _count, _settle
from markets.series import Candles
from tests.bots.performance.conftest import DAY, FIRST, HOUR, MINUTE, curve, executed

COMPILED = (_scan, _settle, _count)
YEAR = 525_600
COMPILES = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")


def at(hours, equity):
    times = np.array([FIRST + hour * HOUR for hour in hours])
    return Curve(times, np.array(equity, float), 1000.0, 3600, 100.0, 100.0)


def test_a_day_is_measured_from_the_end_of_the_day_before():
    """Days without bars have no return; the first after them has it all."""
    found = daily_returns(at([23, 24, 25, 72], [1010, 5, 1111, 1111])).by_date()
    assert found == {
        "2024-01-01": pytest.approx(0.01),
        "2024-01-02": pytest.approx(0.1),
        "2024-01-04": 0,
    }


def test_a_month_is_measured_from_the_end_of_the_month_before():
    days = {0: 1100, 30: 1200, 31: 900, 59: 1800, 60: 1800, 366: 900}
    found = monthly_returns(at([24 * day for day in days], list(days.values()))).by_date()
    assert found == {
        "2024-01": pytest.approx(0.2),
        "2024-02": pytest.approx(0.5),
        "2024-03": 0,
        "2025-01": pytest.approx(-0.5),
    }


def test_days_and_months_multiply_to_the_whole():
    random = np.random.default_rng(3)
    found = curve(1000 * np.exp(np.cumsum(random.normal(0, 0.01, 3000))), first=FIRST + 5 * HOUR)
    for returns in (daily_returns(found), monthly_returns(found)):
        assert np.prod(1 + returns.values) == pytest.approx(found.equity[-1] / 1000)
        assert len(returns.dates) == len(returns.values) == len(set(returns.dates))


def test_a_return_on_nothing_is_none():
    assert list(daily_returns(at([0, 24, 48], [1000, 0, 5])).by_date().values()) == [0, -1, None]


def test_a_bar_from_before_1970_has_its_day():
    found = Curve(np.array([-2 * DAY, -HOUR]), np.array([1100.0, 1100.0]), 1000.0, 3600, 1.0, 1.0)
    assert daily_returns(found).by_date() == {"1969-12-30": pytest.approx(0.1), "1969-12-31": 0}


GOOD = {"time": [FIRST], "equity": [1000.0], "capital": 1000.0, "timeframe": 60, "opened": 1.0, "closed": 1.0}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"time": [], "equity": []}, "equity must have one point for each time, at least one, not 0 for 0."),
        ({"equity": [1.0, 2.0]}, "equity must have one point for each time, at least one, not 2 for 1."),
        ({"capital": 0.0}, "capital must be above 0 and finite, not 0.0."),
        ({"capital": float("nan")}, "capital must be above 0 and finite, not nan."),
        ({"timeframe": -60}, "timeframe must be above 0 and finite, not -60."),
        ({"opened": float("inf")}, "opened must be above 0 and finite, not inf."),
        ({"closed": -1.0}, "closed must be above 0 and finite, not -1.0."),
    ],
)
def test_a_curve_that_cannot_be_is_refused_in_a_sentence(changed, sentence):
    asked = GOOD | changed
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Curve(np.array(asked.pop("time"), np.int64), np.array(asked.pop("equity")), **asked)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_equity_that_is_not_finite_is_refused_in_a_sentence(value, index):
    equity = [1000.0, 1001.0, 999.0, 998.0, 1002.0]
    equity[index] = value
    with pytest.raises(ValueError, match=f"^equity must be finite, not {value} at point {index}\\.$"):
        metrics(curve(equity), executed([]))


def test_no_candles_are_no_curve():
    with pytest.raises(ValueError, match=r"^candles must be at least one, not 0\.$"):
        Curve.of(Candles.from_rows([]), np.empty(0), 1000.0, 60)


@pytest.fixture(scope="module")
def year():
    """A year of minutes, and a trade every 35 of them."""
    random = np.random.default_rng(1)
    long = curve(1000 * np.exp(np.cumsum(random.normal(0, 1e-4, YEAR))), step=MINUTE)
    return long, executed([(FIRST + 35 * MINUTE * n, (-1) ** n, 100, 0.1, n) for n in range(YEAR // 35)])


def test_a_long_curve_is_not_copied(year):
    """Fresh pages of memory would cost more than the figures: a column of a year of minutes has 4.2 MB."""
    metrics(*year)
    tracemalloc.start()
    metrics(*year)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@COMPILES
def test_whatever_the_arrays_are_there_is_one_compiled_version():
    """Else a request would wait for the compiler."""
    wide = np.ones((6, 2)) * 1000.0
    readonly = np.full(6, 1000.0)
    readonly.flags.writeable = False
    times = FIRST + HOUR * np.arange(6)
    orders = np.arange(1)
    for equity in (wide[:, 0], readonly, wide[0].repeat(3), np.full(6, 1000), np.full(6, 1000, np.float32)):
        sold = Trades(times[:1], equity[:1], equity[:1], equity[:1], equity[:1], orders.astype(np.int32))
        metrics(Curve(times, equity, 1000, 3600, 1, 1), sold)
    assert [len(function.signatures) for function in COMPILED] == [1] * len(COMPILED)
