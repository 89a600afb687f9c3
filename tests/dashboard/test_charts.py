from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots import backtests, equity
from dashboard import charts
from dashboard.views import curves
from markets.series import Candles

values = st.lists(st.floats(-1e9, 1e9), min_size=0, max_size=300)


@given(values, st.integers(3, 50))
def test_downsampling_keeps_real_points_in_order_with_both_ends(value, most):
    time = list(range(len(value)))
    kept_time, kept_value = charts.downsample(time, value, most)
    assert len(kept_time) == min(len(value), most)
    assert kept_time == sorted(set(kept_time))
    assert [value[int(at)] for at in kept_time] == kept_value
    if value:
        assert (kept_time[0], kept_time[-1]) == (0, len(value) - 1)


def test_downsampling_keeps_the_crash_that_a_mean_would_hide():
    value = [100.0] * 5000
    value[2500] = 1.0
    assert 1.0 in charts.downsample(range(5000), value, 100)[1]


def test_downsampling_to_fewer_than_three_points_is_refused():
    with pytest.raises(ValueError, match="most must be at least 3, not 2"):
        charts.downsample([1], [1], 2)


def test_what_is_not_finite_becomes_null():
    assert charts.numbers(np.array([1.0, np.nan, np.inf])) == [1.0, None, None]


def test_candles_become_columns_in_seconds():
    one = np.array([1.0])
    columns = charts.candle_columns(Candles(np.array([60_000]), one, one, one, one, one))
    assert columns == {"time": [60], **{name: [1.0] for name in ("open", "high", "low", "close", "volume")}}


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_a_sparkline_stays_inside_its_box(line):
    points = [tuple(map(float, point.split(","))) for point in charts.sparkline(line).split()]
    assert len(points) == len(line)
    assert all(0 <= x <= 96 and 0 <= y <= 24 for x, y in points)


def test_one_value_makes_no_sparkline():
    assert charts.sparkline([1.0]) == ""


def test_trades_of_one_candle_and_side_make_one_marker_at_their_mean_price():
    trades = [
        (61_000, "buy", 100.0, 1.0),
        (119_000, "buy", 103.0, 2.0),
        (119_500, "sell", 104.0, 1.0),
        (0, "buy", 9.0, 1.0),
    ]
    assert charts.markers(trades, 60) == {
        "time": [0, 60, 60],
        "side": ["buy", "buy", "sell"],
        "price": [9.0, 102.0, 104.0],
        "amount": [1.0, 3.0, 1.0],
        "count": [1, 2, 1],
    }


def test_every_curve_is_a_table_too(page, bot):
    equity.sum_up()
    asked, _ = backtests.ask(bot.owner, "grid", bot.params, {}, bot.market, 60, bot.allocation, None, {})
    backtests.run_waiting()
    for path, last in (
        ("/equity/?period=1d", "1,023.50"),
        (f"/bots/{bot.pk}/equity/?period=1d", "1,023.50"),
        (f"/backtests/{asked.pk}/curve/", "Held instead"),
    ):
        answer = page(path)
        assert last in answer.text_
        assert 20 < len(answer.context["rows"]) <= curves.ROWS
        times = [row[0] for row in answer.context["rows"]]
        assert times == sorted(times, reverse=True)


def test_a_part_of_a_curve_is_told_by_its_ends(page, bot):
    equity.sum_up()
    for path in ("/equity.json?period=1d", f"/bots/{bot.pk}/equity.json?period=1d"):
        whole = page(path).json()
        begin, end = whole["time"][5], whole["time"][15]
        part = page(f"{path}&from={begin * 1000}&to={end * 1000}").json()
        assert part["time"] == whole["time"][5:16]
        assert part["equity"] == whole["equity"][5:16]
        assert part["base"] == whole["base"]
        assert page(f"{path}&from=1&to=2").json()["time"] == []
