"""Candles that are kept in memory for pages: the same as stored, extended, resampled, bounded."""

from __future__ import annotations

import pytest

from bots.history import History, KnownBars, last_days, source_of
from markets import candles as store
from markets.series import Candles, resample
from tests.bots.conftest import MINUTE, START, bars


def walk(count: int, start: int = START) -> Candles:
    return bars(*((100 + n % 7, 110, 90, 100 + (n + 1) % 7) for n in range(count)), start=start)


def times(candles: Candles) -> list[int]:
    return candles.time.tolist()


@pytest.fixture
def stored(market):
    """stored(candles): store them as 1m candles; gives what a page knows of the market's feeds."""

    def store_them(candles: Candles) -> dict[int, int | None]:
        store.upsert(market.pk, 60, candles)
        return {60: int(candles.time[-1])}

    return store_them


def test_what_is_kept_is_what_is_stored(market, stored, django_assert_num_queries):
    candles, history = walk(30), History()
    feeds = stored(candles)
    assert history.candles(market.pk, 60, feeds).rows() == candles.rows()
    with django_assert_num_queries(0):
        assert times(history.candles(market.pk, 60, feeds)) == times(candles)


def test_what_closes_later_is_added_and_the_last_one_mended(market, stored):
    history = History()
    history.candles(market.pk, 60, stored(walk(30)))
    mended = bars((100, 120, 80, 111), (111, 112, 110, 111), start=START + 29 * MINUTE)
    found = history.candles(market.pk, 60, stored(mended))
    assert len(found) == 31
    assert found.rows()[-2:] == mended.rows()


def test_a_timeframe_without_feed_is_made_of_the_longest_shorter_one(market, stored):
    candles, history = walk(47), History()
    feeds = stored(candles)
    assert source_of({60: None, 300: None, 3600: None}, 900) == 300
    assert history.candles(market.pk, 300, feeds).rows() == resample(candles, 60, 300).rows()
    more = walk(20, START + 47 * MINUTE)
    feeds = stored(more)
    whole = resample(Candles.joined([candles, more]), 60, 300)
    assert history.candles(market.pk, 300, feeds).rows() == whole.rows()


def test_without_a_shorter_timeframe_there_are_none(market):
    assert len(History().candles(market.pk, 60, {300: 1})) == 0
    assert len(History().candles(market.pk, 60, {})) == 0


def test_the_market_asked_for_longest_ago_goes_when_there_are_too_many(market, stored, django_assert_num_queries):
    history = History(most=50)
    feeds = stored(walk(40))
    history.candles(market.pk, 60, feeds)
    history.candles(market.pk, 300, feeds)
    with django_assert_num_queries(0):
        history.candles(market.pk, 300, feeds)
    history.candles(market.pk, 60, feeds)
    with django_assert_num_queries(0):
        history.candles(market.pk, 60, feeds)


def test_a_period_ends_with_the_last_candle_and_the_lead_comes_before_it():
    candles = walk(3 * 1440)
    assert len(last_days(candles, 1)) == 1440
    assert last_days(candles, 30) is not None
    assert len(last_days(candles, 30)) == len(candles)
    end = int(candles.time[100])
    assert times(KnownBars(candles).before(1, 60, end, 3)) == times(candles[97:100])
    assert times(KnownBars(candles).before(1, 60, end, 1000)) == times(candles[:100])
    assert len(last_days(Candles.empty(), 30)) == 0
