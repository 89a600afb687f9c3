"""Odd candles are noticed, in words, once for as long as they last."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from markets import candles as store
from markets import quality, services
from markets.models import Feed, FeedNotice
from markets.series import Candles
from markets.services import backfill, imports
from markets.services.quality import KEPT, QUIET, inspect
from tests.markets.conftest import made_candles, real_candles

STEP = 60_000


def calm(count: int) -> Candles:
    """Candles that nothing is odd about."""
    made = made_candles(count)
    return dataclasses.replace(made, volume=10 + made.volume)


def changed(candles: Candles, row: int, **values: float) -> Candles:
    """The candles with other values in one row."""
    columns = {name: getattr(candles, name).copy() for name in values}
    for name, value in values.items():
        columns[name][row] = value
    return dataclasses.replace(candles, **columns)


def still(candles: Candles, first: int) -> Candles:
    """The candles with one price from row `first` on."""
    price = {name: getattr(candles, name).copy() for name in ("open", "high", "low", "close")}
    for column in price.values():
        column[first:] = candles.close[first]
    return dataclasses.replace(candles, **price)


def odd(candles: Candles, since: int = 0):
    return {found.code: found for found in quality.oddities(candles, since, 60)}


def test_nothing_is_odd_about_calm_candles():
    assert odd(calm(300)) == {}


def test_next_to_nothing_is_odd_about_a_month_of_an_exchange_s_busiest_market():
    found = odd(real_candles("binance_BTCUSDT_1m_2024.csv.gz"))
    # But for minutes in which fifty times the usual was traded: one in three days.
    assert list(found) == ["odd_volume"]
    assert len(found["odd_volume"].times) == 11


@pytest.mark.parametrize(("name", "factor", "word"), [("high", 1.3, "+"), ("low", 0.7, "-")])
def test_a_spike_is_more_than_a_fifth_from_the_close_before(name, factor, word):
    made = calm(100)
    reach = float(made.close[69]) * factor
    spike = odd(changed(made, 70, **{name: reach}))["price_spike"]
    assert spike.times == [int(made.time[70])]
    assert f"moved {word}30.0% from" in spike.sentence
    within = changed(made, 70, **{name: float(made.close[69]) * (1 + (factor - 1) * 0.6)})
    assert odd(within) == {}


def test_a_leap_over_a_hole_is_no_spike():
    made = calm(100)
    after = Candles(*(getattr(made, name)[60:] * 2 for name in ("time", "open", "high", "low", "close", "volume")))
    after = dataclasses.replace(after, time=made.time[60:])
    assert set(odd(Candles.joined([made[:60], after]))) == {"price_spike"}
    assert odd(Candles.joined([made[:58], after])) == {}


def test_a_price_that_moves_without_a_trade_is_odd_at_once_and_silence_after_three_candles():
    made = changed(calm(100), 70, volume=0.0)
    assert "moved while nothing was traded" in odd(made)["zero_volume"].sentence
    quiet = still(made, 70)
    assert odd(quiet) == {}
    for row in (71, 72):
        quiet = changed(quiet, row, volume=0.0)
    silence = odd(quiet)["zero_volume"]
    assert silence.times == [int(made.time[72])]
    assert silence.sentence.startswith("Nothing was traded, where 1")


def test_silence_is_usual_on_a_market_that_is_seldom_traded():
    made = still(calm(200), 0)
    seldom = dataclasses.replace(made, volume=np.where(np.arange(200) % 5, 0.0, made.volume))
    assert "zero_volume" not in odd(seldom)
    assert "odd_volume" not in odd(seldom)


def test_volume_is_odd_beyond_fifty_times_the_usual():
    made = calm(100)
    usual = float(np.median(made.volume[20:80]))
    assert odd(changed(made, 80, volume=usual * 49)) == {}
    assert "is 51 times the usual" in odd(changed(made, 80, volume=usual * 51))["odd_volume"].sentence


def test_a_price_is_stuck_after_sixty_candles_in_which_something_was_traded():
    made = still(calm(200), 100)
    stuck = odd(made)["stuck_price"]
    assert stuck.times[0] == int(made.time[160])  # candle 100 moved to where the others stay
    assert "for 60 candles or longer" in stuck.sentence
    assert "stuck_price" not in odd(dataclasses.replace(made, volume=np.where(np.arange(200) < 99, made.volume, 0.0)))


def test_only_what_is_new_is_told():
    made = changed(calm(100), 70, high=1000.0)
    assert odd(made, since=int(made.time[71])) == {}
    assert set(odd(made, since=int(made.time[70]))) == {"price_spike"}


def test_many_feeds_at_once_are_judged_as_each_alone():
    made = calm(200)
    many = [made, changed(made, 150, high=1000.0), made[:0], still(made, 100), changed(made, 0, volume=0.0)[:40]]
    stretches = [quality.Stretch(one, int(made.time[30]), 60) for one in many]
    found = quality.oddities_of_many(stretches)
    assert found == [quality.oddities(*one) for one in stretches]
    assert [[one.code for one in of_feed] for of_feed in found] == [[], ["price_spike"], [], ["stuck_price"], []]


@pytest.fixture
def feed(market):
    return Feed.objects.create(market=market, timeframe=60)


def arrive(feed: Feed, candles: Candles) -> None:
    store.upsert(feed.market_id, 60, candles)
    inspect([(feed, candles)])


def test_a_notice_is_one_row_for_as_long_as_it_lasts(feed):
    made = still(calm(400), 100)
    made = Candles.joined([made[:300], calm(400)[300:]])
    arrive(feed, made[:158])
    assert not FeedNotice.objects.exists()
    for row in range(158, 300, 10):
        arrive(feed, made[row : row + 10])
        arrive(feed, made[row : row + 10])  # the exchange tells the same again
    notice = FeedNotice.objects.get()
    assert (notice.code, notice.resolved_at) == ("stuck_price", None)
    assert (notice.first_time, notice.last_time) == (int(made.time[160]), int(made.time[299]))
    assert notice.times_seen == 140
    arrive(feed, made[308 : 299 + QUIET])
    assert FeedNotice.objects.lasting().count() == 1
    arrive(feed, made[299 + QUIET : 300 + QUIET])
    assert FeedNotice.objects.get().resolved_at is not None


def test_what_comes_back_after_it_was_over_is_a_new_notice(feed):
    made = changed(changed(calm(200), 70, high=1000.0), 150, high=1000.0)
    for row in range(0, 200, 20):
        arrive(feed, made[row : row + 20])
    notices = FeedNotice.objects.order_by("first_time")
    assert [notice.first_time for notice in notices] == [int(made.time[70]), int(made.time[150])]
    assert all(notice.resolved_at for notice in notices)


def test_looking_at_many_feeds_is_a_fixed_number_of_queries(feed, other_market, django_assert_max_num_queries):
    feeds = [feed, Feed.objects.create(market=other_market, timeframe=60)]
    made = changed(calm(100), 99, high=1000.0)
    for one in feeds:
        store.upsert(one.market_id, 60, made)
    with django_assert_max_num_queries(4):
        inspect([(one, made[90:]) for one in feeds])
    assert FeedNotice.objects.lasting().count() == 2


def test_a_sync_looks_at_what_it_stores(exchange):
    services.sync_markets(exchange)
    feed = Feed.objects.create(market=exchange.markets.get(symbol="BTC/USDT"), timeframe=60)
    services.sync()
    feed.refresh_from_db()
    before = int(feed.synced_to) - 20 * STEP
    # As if the exchange had told nonsense some candles ago: the next one, asked for again, is a leap from it.
    one = store.load(feed.market_id, 60, before - STEP, before)
    store.upsert(feed.market_id, 60, Candles(one.time, *[np.array([1.0])] * 4, one.volume))
    Feed.objects.update(synced_to=before, checked_at=None)
    services.sync()
    notice = FeedNotice.objects.get(code="price_spike")
    assert (notice.market_id, notice.first_time) == (feed.market_id, before)
    assert notice.resolved_at is not None  # twenty good candles followed


class Shelf:
    """A gateway that gives what it holds."""

    requests = 0

    def __init__(self, stock: Candles) -> None:
        self.stock = stock

    def now_ms(self) -> int:
        return int(self.stock.time[-1]) + 2 * STEP

    def fetch_ohlcv(self, symbol, timeframe, since, limit):
        return [row for row in self.stock.rows() if row[0] >= since][:limit]


def test_a_backfill_and_a_repair_look_at_what_they_store(feed):
    made = changed(changed(calm(400), 100, high=1000.0), 300, high=1000.0)
    backfill.backfill(feed.market, 60, int(made.time[0]), int(made.time[200]), Shelf(made))
    notice = FeedNotice.objects.get()
    assert (notice.code, notice.first_time) == ("price_spike", int(made.time[100]))
    assert notice.resolved_at is not None
    store.upsert(feed.market_id, 60, made[350:])
    Feed.objects.update(synced_to=int(made.time[-1]))
    work = backfill.Work(feed.market, 60, Shelf(made))
    assert work.fill([(int(made.time[200]), int(made.time[350]))]) == 150
    assert [one.first_time for one in FeedNotice.objects.order_by("first_time")] == made.time[[100, 300]].tolist()
    assert not FeedNotice.objects.lasting().exists()


def test_an_import_looks_at_what_it_stores(exchange, tmp_path):
    made = changed(calm(400), 350, high=1000.0)
    file = tmp_path / "candles.csv"
    rows = "\n".join(",".join(map(str, row)) for row in made.rows())
    file.write_text(f"timestamp,open,high,low,close,volume\n{rows}\n")
    target = imports.Target("test", "NEW/USDT", 60, create=True)
    for _ in range(2):
        imports.import_candles(file, target, skip_bad=False)
    assert list(FeedNotice.objects.values_list("code", "first_time", "times_seen")) == [
        ("price_spike", int(made.time[350]), 1)
    ]


def test_retention_forgets_notices_that_are_long_over(feed):
    lasting = {"market": feed.market, "timeframe": 60, "first_time": 0, "last_time": 0, "times_seen": 1}
    FeedNotice.objects.create(code="price_spike", recorded_at=timezone.now() - 2 * KEPT, **lasting)
    FeedNotice.objects.create(code="odd_volume", resolved_at=timezone.now() - KEPT + timedelta(days=1), **lasting)
    FeedNotice.objects.create(code="odd_volume", resolved_at=timezone.now() - KEPT - timedelta(days=1), **lasting)
    services.apply_retention()
    assert FeedNotice.objects.count() == 2
