from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets import series
from markets.series import Candles
from tests.markets.conftest import made_candles, real_candles


def test_a_timeframe_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(ValueError, match=r"one of 1m, 5m, .* not '7m'"):
        series.timeframe_seconds("7m")


BTC = {name: f"binance_BTCUSDT_{name}_2024.csv.gz" for name in ("1m", "5m", "15m", "1h", "4h", "1d")}
ETH = {name: f"binance_ETHUSDT_{name}_2024.csv.gz" for name in ("5m", "15m", "1h")}
XRP = {name: f"binance_XRPUSDT_{name}_2024.csv.gz" for name in ("5m", "1h")}
PAIRS = [(files, *pair) for files in (BTC, ETH, XRP) for pair in itertools.combinations(files, 2)]


@pytest.mark.parametrize(("files", "source", "target"), PAIRS)
def test_resampling_reproduces_the_exchange_s_own_candles_to_the_last_bit(files, source, target):
    made = series.resample(real_candles(files[source]), series.TIMEFRAMES[source], series.TIMEFRAMES[target])
    real = real_candles(files[target])
    # The files begin and end at different times; between, neither has a candle that the other has not.
    begin, end = max(made.time[0], real.time[0]), min(made.time[-1], real.time[-1])
    within = [candles[slice(*np.searchsorted(candles.time, [begin, end + 1]))] for candles in (made, real)]
    assert len(within[0]) > 10
    for name in ("time", *series.VALUES):
        np.testing.assert_array_equal(*(getattr(candles, name) for candles in within))


def test_volumes_of_more_places_than_exchanges_have_are_summed_as_they_are():
    candles = made_candles(10, start=1_700_000_400_000)
    tiny = dataclasses.replace(candles, volume=np.full(10, 1e-12))
    assert series.resample(tiny, 60, 300).volume.tolist() == pytest.approx([5e-12, 5e-12], rel=1e-12)
    large = dataclasses.replace(candles, volume=np.full(10, 4_000_000_000.1))
    assert series.resample(large, 60, 300).volume.tolist() == [20_000_000_000.5] * 2


@given(count=st.integers(1, 200), start=st.integers(0, 59), holes=st.sets(st.integers(0, 199)))
def test_resampling_in_two_steps_is_resampling_in_one_over_whole_hours(count, start, holes):
    candles = made_candles(count, start=1_700_000_000_000 - 1_700_000_000_000 % 3_600_000 + start * 60_000)
    kept = [i for i in range(count) if i not in holes or i in (0, count - 1)]
    candles = Candles.from_rows([candles.rows()[i] for i in kept])
    once = series.resample(candles, 60, 3600)
    assert set(once.time.tolist()) <= {series.open_time(int(time), 3600) for time in candles.time}
    for row in once.rows():
        inside = [r for r in candles.rows() if row[0] <= r[0] < row[0] + 3_600_000]
        assert row[1] == inside[0][1]
        assert row[2] == max(r[2] for r in inside)
        assert row[3] == min(r[3] for r in inside)
        assert row[4] == inside[-1][4]
        assert row[5] == pytest.approx(math.fsum(r[5] for r in inside))


def test_unfinished_candles_at_the_ends_are_left_out():
    candles = made_candles(13, start=1_700_000_100_000 + 60_000)  # one minute into a 5m candle
    assert series.resample(candles, 60, 300).time.tolist() == [1_700_000_400_000]


def test_resampling_to_no_multiple_is_refused():
    with pytest.raises(ValueError, match="multiple of 300 seconds, not 60"):
        series.resample(made_candles(5), 300, 60)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"time": 1_700_000_040_001}, "is not the open time of a 1m candle"),
        ({"time": 1_699_999_980_000}, "is out of order, after"),
        ({"time": 1_700_000_040_000}, "is a duplicate"),
        ({"open": math.nan}, "open must be a finite number, not nan"),
        ({"high": math.inf}, "high must be a finite number, not inf"),
        ({"low": 0.0}, "low must be above 0"),
        ({"low": -1.0}, "low must be above 0"),
        ({"high": 1.0}, "is below low"),
        ({"close": 1e9}, "is below open"),
        ({"open": 1e-9}, "is above open"),
        ({"volume": -1.0}, "volume must be 0 or more"),
    ],
)
def test_the_first_impossible_candle_is_named_with_its_fault(change, sentence):
    candles = made_candles(4, start=1_699_999_980_000)
    ((name, value),) = change.items()
    column = getattr(candles, name).copy()
    column[2] = value
    with pytest.raises(series.BadCandle, match=sentence) as caught:
        series.check(dataclasses.replace(candles, **{name: column}), 60)
    assert caught.value.row == 2


numbers = st.one_of(st.floats(), st.sampled_from([1.0, 2.0, 3.0, 0.0, -1.0]))


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([-60_000, 0, 1, 60_000, 120_000, 180_000]), *[numbers] * 5), min_size=1, max_size=8
    ),
    previous=st.sampled_from([None, 0, 60_000]),
)
def test_columns_and_rows_are_judged_alike(rows, previous):
    before = [previous, *(row[0] for row in rows[:-1])]
    one_by_one = [series.fault(row, 60, last) is not None for row, last in zip(rows, before, strict=True)]
    assert series.bad_rows(Candles.from_rows(rows), 60, previous).tolist() == one_by_one


def test_gaps_name_the_missing_stretch_half_open():
    times = np.array([0, 60_000, 240_000, 300_000, 420_000], np.int64)
    assert series.gaps(times, 60) == [(120_000, 240_000), (360_000, 420_000)]


def test_real_candles_pass_the_check():
    series.check(real_candles("binance_BTCUSDT_1m_2024.csv.gz"), 60)
    hourly = real_candles("binance_BTCUSDT_1h_2017_2024.csv.gz")
    series.check(hourly, 3600)
    missing = sum((after - first) // 3_600_000 for first, after in series.gaps(hourly.time, 3600))
    assert missing == 128


def test_joining_parts_and_rows_loses_nothing():
    candles = made_candles(10)
    joined = Candles.joined([candles[:3], Candles.empty(), candles[3:]])
    assert joined.rows() == candles.rows() == Candles.from_rows(candles.rows()).rows()
    assert len(Candles.joined([])) == len(Candles.from_rows([])) == 0
