from __future__ import annotations

import dataclasses
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


@pytest.mark.parametrize(
    ("source", "target", "source_file", "target_file"),
    [
        (60, 300, "binance_BTCUSDT_1m_2024.csv.gz", "binance_BTCUSDT_5m_2024.csv.gz"),
        (60, 900, "binance_BTCUSDT_1m_2024.csv.gz", "binance_BTCUSDT_15m_2024.csv.gz"),
        (60, 3600, "binance_BTCUSDT_1m_2024.csv.gz", "binance_BTCUSDT_1h_2024.csv.gz"),
        (60, 86400, "binance_BTCUSDT_1m_2024.csv.gz", "binance_BTCUSDT_1d_2024.csv.gz"),
        (300, 900, "binance_BTCUSDT_5m_2024.csv.gz", "binance_BTCUSDT_15m_2024.csv.gz"),
        (900, 3600, "binance_BTCUSDT_15m_2024.csv.gz", "binance_BTCUSDT_1h_2024.csv.gz"),
        (3600, 14400, "binance_BTCUSDT_1h_2024.csv.gz", "binance_BTCUSDT_4h_2024.csv.gz"),
        (3600, 86400, "binance_BTCUSDT_1h_2024.csv.gz", "binance_BTCUSDT_1d_2024.csv.gz"),
    ],
)
def test_resampling_reproduces_the_exchange_candles(source, target, source_file, target_file):
    made = series.resample(real_candles(source_file), source, target)
    real = real_candles(target_file)
    common, mine, theirs = np.intersect1d(made.time, real.time, return_indices=True)
    assert common.size > 10
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(made, name)[mine], getattr(real, name)[theirs])
    np.testing.assert_allclose(made.volume[mine], real.volume[theirs], rtol=1e-9, atol=1e-9)


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
