from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import charts
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
