from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from django.db import connection

from markets import candles, series
from markets.models import Candle
from markets.series import Candles
from tests.markets.conftest import made_candles, real_candles


def same(left: Candles, right: Candles) -> bool:
    return left.rows() == right.rows()


def test_what_is_stored_is_read_back_bit_for_bit(market):
    made = made_candles(1000)
    assert candles.upsert(market.pk, 60, made) == 1000
    assert same(candles.load(market.pk, 60), made)
    assert Candle.objects.count() == 1000


def test_storing_the_same_again_changes_nothing(market):
    made = made_candles(100)
    candles.upsert(market.pk, 60, made)
    assert candles.upsert(market.pk, 60, made) == 0


def test_only_changed_candles_are_rewritten(market):
    made = made_candles(100)
    candles.upsert(market.pk, 60, made)
    volume = made.volume.copy()
    volume[[3, 5]] += 1
    changed = dataclasses.replace(made, volume=volume)
    assert candles.upsert(market.pk, 60, changed) == 2
    assert same(candles.load(market.pk, 60), changed)


def test_a_window_is_half_open_and_a_limit_keeps_the_last(market):
    made = made_candles(50)
    candles.upsert(market.pk, 60, made)
    start, end = int(made.time[10]), int(made.time[20])
    assert same(candles.load(market.pk, 60, start, end), made[10:20])
    assert same(candles.load(market.pk, 60, limit=7), made[43:])
    assert same(candles.load(market.pk, 60, start=start, end=end, limit=3), made[17:20])
    assert same(candles.load(market.pk, 60, limit=500), made)
    # Compiled kernels are made for contiguous columns.
    assert candles.load(market.pk, 60, limit=7).close.flags.c_contiguous


def test_nothing_stored_loads_as_no_candles(market):
    assert len(candles.load(market.pk, 60)) == 0
    assert candles.upsert(market.pk, 60, Candles.empty()) == 0


def test_markets_and_timeframes_are_apart(market, other_market):
    first, second = made_candles(10), made_candles(20, seed=2)
    hourly = made_candles(5, timeframe=3600)
    assert candles.upsert_many([(market.pk, 60, first), (other_market.pk, 60, second), (market.pk, 3600, hourly)]) == 35
    assert same(candles.load(market.pk, 60), first)
    assert same(candles.load(other_market.pk, 60), second)
    assert same(candles.load(market.pk, 3600), hourly)


def test_one_impossible_candle_keeps_the_whole_batch_out(market, other_market):
    wrong = made_candles(10)
    wrong = dataclasses.replace(wrong, high=wrong.low / 2)
    with pytest.raises(series.BadCandle, match="is below low"):
        candles.upsert_many([(other_market.pk, 60, made_candles(10)), (market.pk, 60, wrong)])
    assert not Candle.objects.exists()


def test_loading_uses_one_query_and_the_primary_key(market, django_assert_num_queries):
    candles.upsert(market.pk, 60, made_candles(5000))
    with django_assert_num_queries(1):
        candles.load(market.pk, 60, limit=500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE markets_candle")
        cursor.execute(
            "EXPLAIN SELECT time FROM markets_candle WHERE market_id = %s AND timeframe = 60 "
            "ORDER BY time DESC LIMIT 50",
            [market.pk],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "markets_candle_pkey" in plan
    assert "Sort" not in plan


def test_gaps_between_stored_candles_are_found(market):
    made = made_candles(20)
    kept = Candles.joined([made[:5], made[7:12], made[13:]])
    candles.upsert(market.pk, 60, kept)
    expected = [(int(made.time[5]), int(made.time[7])), (int(made.time[12]), int(made.time[13]))]
    assert candles.gaps(market.pk, 60) == expected == series.gaps(kept.time, 60)
    assert candles.gaps(market.pk, 60, start=int(made.time[7])) == expected[1:]


def test_real_candles_survive_the_round_trip(market):
    real = real_candles("binance_BTCUSDT_1m_2024.csv.gz")
    assert candles.upsert(market.pk, 60, real) == len(real)
    loaded = candles.load(market.pk, 60)
    for name in ("time", *series.VALUES):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(real, name))


@pytest.mark.django_db(transaction=True)
def test_a_market_takes_its_candles_along_even_those_that_came_while_it_was_deleted(market, other_market):
    made = made_candles(10)
    candles.upsert(market.pk, 60, made[:5])
    candles.upsert(other_market.pk, 60, made)
    key = market.pk
    # As its deletion does: candles first, then, when the writer has committed, the market.
    Candle.objects.filter(market=market).delete()
    candles.upsert(key, 60, made[5:])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM markets_market WHERE id = %s", [key])
    assert Candle.objects.filter(market_id=key).count() == 5
    assert candles.forget_strays() == 5
    assert candles.forget_strays() == 0
    assert same(candles.load(other_market.pk, 60), made)
    other_market.delete()
    assert not Candle.objects.exists()
