"""Unmodified ccxt.pro against a server on loopback: candles are stored exactly, whatever happens to the stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.db import connection, transaction

from markets import gateway, gateway_stream, services
from markets.models import Candle, Exchange, Feed, Market
from markets.services import streaming
from markets.services.streaming import Follower, store_heard
from orchestrator.home import PROJECT
from orchestrator.servers.programs import programs
from tests.markets.following import SYNC, begin, close, go_on, queued, rows, stream_of, until, work
from tests.markets.stream_venue import MINUTE, StreamVenue, ohlcv

ADVANCE = "bots.tasks.advance_runs"


@pytest.fixture
def venue():
    venue = StreamVenue()
    yield venue
    venue.stop()


@pytest.fixture
def listed(transactional_db, redis, venue):
    """Binance as the venue is, its markets known."""
    exchange = Exchange.objects.create(slug="venue", name="Venue", ccxt_id="binance", ccxt_config=venue.binance)
    services.sync_markets(exchange)
    return exchange


@pytest.fixture
def feed(listed):
    feed = Feed.objects.create(market=Market.objects.get(symbol="BTC/USDT"), timeframe=60)
    services.sync()
    return feed


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(gateway_stream, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(streaming, "SYNC_S", 0.0)


@pytest.fixture
def follower():
    follower = Follower()
    yield follower
    follower.end()


def test_a_candle_that_closes_is_stored_at_once_and_nobody_is_asked(feed, venue, follower, redis):
    begin(follower, venue, feed, redis)
    assert {"btcusdt@kline_1m", "btcusdt@miniTicker"} == {name for names in venue.subscribed for name in names}
    asked = len(venue.asked)
    for number in range(3):
        close(follower, venue, feed, 107.0 + number, 9.25)
        assert {ADVANCE, "bots.tasks.advance_live_runs", "markets.tasks.compute_indicators"} == set(queued(redis))
    assert (rows(feed), len(venue.asked)) == (venue.closed, asked)
    feed.refresh_from_db()
    assert (feed.synced_to, feed.heard_from, feed.error) == (venue.now - MINUTE, venue.now - 3 * MINUTE, "")
    assert Market.objects.get(pk=feed.market_id).last == 109.0


def test_a_connection_that_is_cut_is_made_again_and_nothing_is_missing(feed, venue, follower, redis, caplog):
    begin(follower, venue, feed, redis)
    close(follower, venue, feed, 103.0)
    queued(redis)
    venue.cut()
    for _ in range(3):  # meanwhile
        venue.candles[venue.now] = ohlcv(venue.now, 90.5 + 10)
        venue.pass_on()
    venue.await_subscription(4)
    venue.tell(*ohlcv(venue.now))
    until(follower, lambda: stream_of(follower).is_heard)
    go_on(follower, venue, feed, redis)
    close(follower, venue, feed, 104.0)
    assert rows(feed) == venue.closed
    assert venue.connections >= 2
    assert len([one for one in caplog.records if one.levelname == "WARNING" and one.name.startswith("markets")]) == 1


@pytest.mark.parametrize(
    "garbage",
    ['{"e": "kline", "k"', '{"e":"kline","s":"BTCUSDT","k":{"t":"x","s":"BTCUSDT","i":"1m"}}',
     '{"e":"kline","s":"BTCUSDT","k":{"t":60001,"s":"BTCUSDT","i":"1m","o":"1","h":"0","l":"2","c":"1","v":"1"}}',
     '{"e":"kline"}', "[]"],
)  # fmt: skip
def test_garbage_is_said_once_and_candles_are_asked_for_instead(feed, venue, follower, redis, caplog, garbage):
    follower.refresh()
    for count in (2, 4, 6):
        venue.await_subscription(count)
        venue.say(garbage)
    venue.await_subscription(8)
    stream = stream_of(follower)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1, warnings
    assert warnings[0].startswith("Stream of Binance: ")
    assert warnings[0].endswith("Its candles are asked for and the stream is tried again.")
    assert not stream.is_heard
    venue.candles[venue.now] = ohlcv(venue.now)
    venue.pass_on()
    stream.offset_ms = venue.ahead + streaming.PUBLISHED_MS  # as it is measured every ten minutes
    until(follower, lambda: SYNC in work(feed, redis))
    assert rows(feed) == venue.closed


def test_an_exchange_that_takes_no_stream_is_asked_as_candles_close(feed, venue, follower, redis):
    venue.refuses = True
    follower.refresh()
    venue.candles[venue.now] = ohlcv(venue.now)
    venue.pass_on()
    stream_of(follower).offset_ms = venue.ahead + streaming.PUBLISHED_MS
    until(follower, lambda: SYNC in work(feed, redis))
    assert rows(feed) == venue.closed


def test_kraken_s_stream_is_followed_too(venue, transactional_db, redis, follower):
    exchange = Exchange.objects.create(slug="k", name="K", ccxt_id="kraken", ccxt_config=venue.kraken)
    services.sync_markets(exchange)
    market = Market.objects.get(symbol="BTC/USDT")
    feed = Feed.objects.create(market=market, timeframe=60, synced_to=venue.now - MINUTE)
    follower.refresh()
    venue.await_subscription(2)
    venue.tell_kraken(*ohlcv(venue.now - MINUTE), kind="snapshot")
    until(follower, lambda: stream_of(follower).is_heard)
    venue.tell_kraken(*ohlcv(venue.now, 101.25))
    venue.tell_kraken(*ohlcv(venue.now, 103.5))
    venue.tell_kraken(*ohlcv(venue.now + MINUTE))
    until(follower, lambda: rows(feed))
    assert rows(feed) == [ohlcv(venue.now, 103.5)]


def test_tickers_of_the_stream_move_the_price(feed, venue, follower, monkeypatch):
    monkeypatch.setattr(gateway_stream, "TICKERS_S", 0.01)
    follower.refresh()
    venue.await_subscription(2)
    venue.say({"e": "24hrMiniTicker", "E": venue.now + 30_000, "s": "BTCUSDT", "c": "123.5", "o": "100", "h": "130",
               "l": "99", "v": "10", "q": "1100"})  # fmt: skip
    market = until(follower, lambda: Market.objects.filter(pk=feed.market_id, last=123.5).first())
    assert (market.change_24h, market.quote_volume_24h) == (pytest.approx(0.235), 1100.0)


def test_a_feed_that_another_worker_is_at_is_stored_when_that_one_has_ended(feed, venue):
    heard, found = {feed.pk: [ohlcv(venue.now, 105.0)]}, []

    def other():
        try:
            found.append(store_heard(heard))
        finally:
            connection.close()

    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=feed.pk)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
    assert found == [(0, [], False)]
    assert store_heard(heard).written == 1
    assert store_heard(heard).written == 0
    assert rows(feed)[-1] == ohlcv(venue.now, 105.0)


def test_a_candle_behind_a_hole_is_not_stored_before_the_hole_is_asked_for(feed, venue):
    heeded = store_heard({feed.pk: [ohlcv(venue.now), ohlcv(venue.now + 2 * MINUTE)]})
    assert (heeded.written, heeded.is_behind) == (1, True)
    assert rows(feed)[-1][0] == venue.now
    fresh = Feed.objects.create(market=Market.objects.get(symbol="ETH/USDT"), timeframe=60)
    assert store_heard({fresh.pk: [ohlcv(venue.now)]})._replace(claimed=[]) == (0, [], True)


def test_what_was_heard_is_asked_for_later_and_corrected(feed, venue):
    store_heard({feed.pk: [ohlcv(venue.now, 105.0), ohlcv(venue.now + MINUTE, 106.0)]})
    venue.candles[venue.now] = ohlcv(venue.now, 105.5)  # a stream may have missed the last trade
    venue.candles[venue.now + MINUTE] = ohlcv(venue.now + MINUTE, 106.0)
    venue.pass_on(2)
    gateway.connect(feed.market.exchange)._measure_at = 0
    assert services.sync() == 0
    began = venue.now - 2 * MINUTE
    for opened in range(venue.now, venue.now + 14 * MINUTE, MINUTE):
        store_heard({feed.pk: [ohlcv(opened)]})
        venue.candles[opened] = ohlcv(opened)
    venue.pass_on(14)
    gateway.connect(feed.market.exchange)._measure_at = 0
    assert services.sync() == 1
    assert venue.asked[-1] == began
    assert rows(feed) == venue.closed
    feed.refresh_from_db()
    assert feed.heard_from is None


def test_simulated_exchanges_are_followed_by_their_clock(transactional_db, redis, follower):
    exchange = Exchange.objects.create(slug="sim", name="Sim", ccxt_id="simulated", ccxt_config={"seed": 1})
    services.sync_markets(exchange)
    feed = Feed.objects.create(market=Market.objects.get(symbol="BTC/USDT"), timeframe=60)
    services.sync()
    last = Feed.objects.get().synced_to
    Feed.objects.update(synced_to=last - MINUTE)
    until(follower, lambda: SYNC in work(feed, redis))
    assert follower.exchanges == ["sim"]
    assert Feed.objects.get().synced_to >= last


def test_exchanges_without_a_stream_have_none(db):
    exchange = Exchange(slug="b", name="B", ccxt_id="bitbank", ccxt_config={})
    assert gateway.follow(exchange, [("BTC/JPY", 60)], print) is None
    with pytest.raises(gateway.GatewayError, match="There is no exchange 'nowhere' in ccxt"):
        gateway.follow(Exchange(slug="n", name="N", ccxt_id="nowhere", ccxt_config={}), [], print)


def test_feeds_that_come_and_go_are_followed_and_left(feed, venue, follower, redis):
    begin(follower, venue, feed, redis)
    Feed.objects.create(market=Market.objects.get(symbol="ETH/USDT"), timeframe=60)
    first = stream_of(follower)
    follower.refresh()
    assert stream_of(follower) is not first
    venue.await_subscription(4)
    assert "ethusdt@kline_1m" in venue.subscribed[-1] + venue.subscribed[-2]
    Exchange.objects.update(enabled=False)
    follower.refresh()
    assert follower.exchanges == []


def test_a_queue_that_is_away_costs_nothing_but_a_warning():
    program = "import django; django.setup(); from markets.services import streaming; streaming.have_followed_up()"
    away = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env=away, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert "cannot be reached; beat has them done later" in done.stderr
    assert "Traceback" not in done.stderr


def test_make_run_follows_streams_when_it_is_told_to():
    assert "stream" not in [program.name for program in programs("", 1, 2)]
    assert [program.name for program in programs("", 1, 2, stream_markets=True)][-1] == "stream"


COMMAND = [sys.executable, "manage.py", "stream_markets"]


def started():
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)
    return subprocess.Popen(COMMAND, cwd=PROJECT, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


class Aside:
    """In the place of the follower where a process of its own follows."""

    def turn(self, wait):
        time.sleep(wait)


def test_killed_and_started_again_the_candles_are_exact_and_sigterm_ends_it_at_once(feed, venue, redis):
    for number in (signal.SIGKILL, signal.SIGTERM):
        subscribed = len(venue.subscribed)
        process = started()
        try:
            venue.await_subscription(subscribed + 2, 60)
            venue.tell(*ohlcv(venue.now, 101.5))
            go_on(Aside(), venue, feed, redis)
            for close_ in (103.0, 104.5):
                close(Aside(), venue, feed, close_)
            venue.tell(*ohlcv(venue.now, 99.5))
            process.send_signal(number)
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert rows(feed) == venue.closed
    assert out == "Following venue.\nStopped.\n"
    assert Candle.objects.count() == len(venue.closed)
