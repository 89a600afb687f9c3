from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from markets import candles, gateway, series, services, simulated
from markets.models import Candle, Exchange, Feed, Market
from markets.services import feeds as feeds_module
from markets.services import retention
from markets.simulated import DAY_MS, MINUTE_MS, SimulatedExchange
from orchestrator import notify


@pytest.fixture(autouse=True)
def _inside_a_minute(monkeypatch):
    """The clock stands still some seconds into a minute, so that none ends between a step and its check."""
    moment = series.open_time(simulated.real_ms(), 60) - MINUTE_MS + 34_567
    monkeypatch.setattr(simulated, "real_ms", lambda: moment)


@pytest.fixture
def listed(exchange):
    services.sync_markets(exchange)
    return exchange


@pytest.fixture
def feed(listed):
    return Feed.objects.create(market=Market.objects.get(symbol="BTC/USDT"), timeframe=60)


def now_of(exchange):
    return gateway.connect(exchange).now_ms()


def test_listing_creates_the_markets_and_again_changes_only_what_changed(exchange):
    assert services.sync_markets(exchange) == 24
    Market.objects.filter(symbol="BTC/USDT").update(tick="5", active=False)
    before = Market.objects.get(symbol="BTC/USDT").pk
    Market.objects.create(exchange=exchange, symbol="OLD/USDT", base="OLD", quote="USDT", tick="1", lot="1")
    services.sync_markets(exchange)
    market = Market.objects.get(symbol="BTC/USDT")
    assert (market.pk, str(market.tick.normalize()), market.active) == (before, "0.01", True)
    assert not Market.objects.get(symbol="OLD/USDT").active
    assert Market.objects.count() == 25


def test_a_new_feed_gets_two_days_and_then_only_what_is_new(feed):
    assert services.sync() == Candle.objects.count() == 2880
    feed.refresh_from_db()
    assert feed.synced_to == series.open_time(now_of(feed.market.exchange), 60) - MINUTE_MS
    assert feed.error == ""
    assert feed.checked_at is not None
    candles_before = candles.load(feed.market_id, 60)
    Feed.objects.update(synced_to=feed.synced_to - 10 * MINUTE_MS)
    assert services.sync([feed.pk]) == 0
    assert candles.load(feed.market_id, 60).rows() == candles_before.rows()
    Candle.objects.filter(time__gt=feed.synced_to - 10 * MINUTE_MS).delete()
    Feed.objects.update(synced_to=feed.synced_to - 10 * MINUTE_MS)
    assert services.sync([feed.pk]) == 10
    assert candles.load(feed.market_id, 60).rows() == candles_before.rows()


def test_sync_tells_the_last_price_and_the_day_s_figures(feed):
    services.sync()
    market = Market.objects.get(pk=feed.market_id)
    stored = candles.load(market.pk, 60)
    last_day = stored[-1440:]
    assert market.last == stored.close[-1]
    assert market.last_at.timestamp() * 1000 == stored.time[-1] + MINUTE_MS
    assert market.change_24h == pytest.approx(market.last / last_day.open[0] - 1)
    assert market.quote_volume_24h == pytest.approx(float((last_day.close * last_day.volume).sum()))


def test_a_change_over_24_hours_is_not_claimed_from_less(feed):
    services.sync()
    Candle.objects.filter(time__lt=now_of(feed.market.exchange) - DAY_MS // 2).delete()
    Feed.objects.update(synced_to=Feed.objects.get().synced_to - MINUTE_MS)
    services.sync()
    assert Market.objects.get(pk=feed.market_id).change_24h is None


def test_one_failing_feed_keeps_a_sentence_and_stops_no_other(feed):
    unknown = Market.objects.create(
        exchange=feed.market.exchange, symbol="XAU/USDT", base="XAU", quote="USDT", tick="1", lot="1"
    )
    failing = Feed.objects.create(market=unknown, timeframe=60)
    services.sync()
    failing.refresh_from_db()
    feed.refresh_from_db()
    assert failing.error == "The simulated exchange has no market XAU/USDT."
    assert failing.synced_to is None
    assert feed.synced_to is not None


def test_the_sentence_goes_when_the_feed_heals(feed):
    Feed.objects.update(error="It was broken.", checked_at=timezone.now() - timedelta(seconds=61))
    services.sync()
    feed.refresh_from_db()
    assert feed.error == ""
    assert feed.synced_to is not None


def test_a_feed_that_has_just_failed_is_left_alone_for_a_minute(feed):
    Feed.objects.update(error="It was broken.", checked_at=timezone.now())
    assert services.sync() == 0


def test_disabled_feeds_and_feeds_of_files_are_not_asked_for(feed):
    Feed.objects.update(enabled=False)
    assert services.sync() == 0
    Feed.objects.update(enabled=True)
    Exchange.objects.update(ccxt_id="file")
    assert services.sync() == 0
    feed.refresh_from_db()
    assert "has no connection" in feed.error


@pytest.mark.django_db(transaction=True)
def test_sync_and_tickers_announce_the_market_when_they_commit():
    exchange = Exchange.objects.create(slug="told", name="Told", ccxt_id="simulated", ccxt_config={"seed": 1})
    services.sync_markets(exchange)
    market = Market.objects.get(symbol="BTC/USDT")
    Feed.objects.create(market=market, timeframe=3600)
    given = connection.get_connection_params()
    address = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    listener = psycopg.connect(**address, autocommit=True)
    with listener:
        listener.execute(f"LISTEN {notify.CHANNEL}")
        services.sync()
        services.refresh_tickers()
        heard = [message.payload for message in listener.notifies(timeout=5, stop_after=2)]
    assert heard == [f"market:{market.pk}"] * 2


@pytest.mark.django_db(transaction=True)
def test_two_syncs_at_once_share_the_feeds_and_double_nothing():
    exchange = Exchange.objects.create(slug="two", name="Two", ccxt_id="simulated", ccxt_config={"seed": 1})
    services.sync_markets(exchange)
    Feed.objects.bulk_create(Feed(market=market, timeframe=3600) for market in Market.objects.all())
    start, written = threading.Barrier(2), []

    def work():
        try:
            start.wait(10)
            written.append(services.sync())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(written) == Candle.objects.count() > 20 * 1000
    assert not Feed.objects.filter(synced_to=None).exists()


class Slow(SimulatedExchange):
    """Lets the test do something in the middle of a request."""

    def fetch_ohlcv(self, symbol, timeframe, since, limit):
        rows = super().fetch_ohlcv(symbol, timeframe, since, limit)
        self.meanwhile()
        return rows


@pytest.mark.django_db(transaction=True)
def test_while_an_exchange_is_waited_for_no_row_is_locked_and_no_other_worker_asks():
    exchange = Exchange.objects.create(slug="slow", name="Slow", ccxt_id="simulated", ccxt_config={"seed": 1})
    services.sync_markets(exchange)
    feed = Feed.objects.create(market=Market.objects.get(symbol="BTC/USDT"), timeframe=3600)
    source, found = Slow(42, 0, real_clock=simulated.real_ms), []

    def elsewhere():
        found.append(services.sync([feed.pk]))
        with transaction.atomic():
            locked = Feed.objects.select_for_update(nowait=True).get(pk=feed.pk)
            Market.objects.select_for_update(nowait=True).get(pk=feed.market_id)
            locked.keep_days = 7
            locked.save(update_fields=["keep_days"])
        connection.close()

    def meanwhile():
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join(30)

    source.meanwhile = meanwhile
    written = feeds_module._sync_shard(source, [feed.pk])
    assert set(found) == {0}
    feed.refresh_from_db()
    assert (feed.keep_days, feed.synced_to) == (7, candles.last_time(feed.market_id, 3600))
    assert written == Candle.objects.count() > 1000
    assert services.sync([feed.pk]) == 0


def test_what_a_stream_stored_during_a_sync_is_neither_lost_nor_taken_for_confirmed(feed):
    services.sync()
    feed.refresh_from_db()
    heard, back = feed.synced_to, feed.synced_to - 5 * MINUTE_MS
    Candle.objects.filter(time__gt=back).delete()
    Feed.objects.update(synced_to=back, heard_from=back)
    source = Slow(42, 0, real_clock=lambda: back + MINUTE_MS + 30_000)
    source.meanwhile = lambda: Feed.objects.update(synced_to=heard)
    late = Feed.objects.select_related("market").get()
    feeds_module._keep_fetched([feeds_module._fetch(source, late)])
    feed.refresh_from_db()
    assert (feed.synced_to, feed.heard_from) == (heard, back + MINUTE_MS)


class Broken(SimulatedExchange):
    """Gives two good pages and then a candle whose high is below its low."""

    def fetch_ohlcv(self, symbol, timeframe, since, limit):
        rows = super().fetch_ohlcv(symbol, timeframe, since, limit)
        if since > self.now_ms() - 1200 * MINUTE_MS:
            time, open_, _, low, close, volume = rows[0]
            rows[0] = (time, open_, low / 2, low, close, volume)
        return rows


def test_pages_before_an_impossible_candle_are_kept_and_the_candle_is_named(feed):
    source = Broken(42, 0, real_clock=simulated.real_ms)
    feeds_module._sync_shard(source, [feed.pk])
    feed.refresh_from_db()
    assert "is below low" in feed.error
    assert Candle.objects.count() == 2000
    assert feed.synced_to == candles.last_time(feed.market_id, 60)


def test_tickers_move_the_last_price_between_candles(feed):
    services.sync()
    assert services.refresh_tickers() == 1
    market = Market.objects.get(pk=feed.market_id)
    assert market.last_at.timestamp() * 1000 > Feed.objects.get().synced_to + MINUTE_MS


def test_an_older_ticker_never_replaces_a_newer_price(feed):
    later = timezone.now() + timedelta(hours=1)
    Market.objects.filter(pk=feed.market_id).update(last=1.0, last_at=later)
    assert services.refresh_tickers() == 0
    services.sync()
    assert Market.objects.get(pk=feed.market_id).last == 1.0


def test_sync_of_many_feeds_is_a_fixed_number_of_queries(listed, django_assert_max_num_queries):
    Feed.objects.bulk_create(Feed(market=market, timeframe=3600) for market in Market.objects.all())
    # exchanges, due ids, locks taken, feeds due, their rows, staging (create, truncate, copy), merge, feeds, prices,
    # announcement, what is odd, locks given back, and the savepoints of the transactions.
    with django_assert_max_num_queries(24):
        services.sync()


def test_retention_forgets_what_is_older_than_the_feed_keeps(feed, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 500)
    services.sync()
    Feed.objects.update(keep_days=1)
    feed.refresh_from_db()
    assert services.apply_retention() == 1439
    assert candles.load(feed.market_id, 60).time[0] == feed.synced_to - DAY_MS
    assert services.apply_retention() == 0


def test_retention_keeps_all_when_told_so(feed):
    services.sync()
    Feed.objects.update(keep_days=0)
    assert services.apply_retention() == 0
