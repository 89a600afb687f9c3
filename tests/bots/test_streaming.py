"""A candle that a stream tells of reaches the runs that wait for it, without beat."""

from __future__ import annotations

import pytest

from bots import runs, services
from bots.models import Bot, Run
from markets import candles as store
from markets import gateway_stream
from markets.models import Exchange, Feed, Market
from markets.services import sync, sync_markets
from markets.services.streaming import Follower
from tests.bots.test_runs import exact, expected, stored
from tests.markets.following import begin, close, until, work
from tests.markets.stream_venue import MINUTE, StreamVenue


@pytest.fixture
def venue():
    venue = StreamVenue()
    yield venue
    venue.stop()


@pytest.fixture
def exchange(transactional_db, redis, venue):
    made = Exchange.objects.create(slug="venue", name="Venue", ccxt_id="binance", ccxt_config=venue.binance)
    sync_markets(made)
    return made


@pytest.fixture
def market(exchange):
    return Market.objects.get(symbol="BTC/USDT")


@pytest.fixture
def follower():
    follower = Follower()
    yield follower
    follower.end()


def test_a_run_trades_on_what_was_streamed_as_its_backtest_does(bot, feed, venue, follower, redis, monkeypatch):
    monkeypatch.setattr(gateway_stream, "FIRST_PAUSE_S", 0.05)
    sync()
    run = services.start(Bot.objects.get(pk=bot.pk), venue.now)
    begun = Run.objects.get(pk=run.pk).bar_time
    begin(follower, venue, feed, redis)
    asked = len(venue.asked)
    for price in (107.0, 94.0, 103.0, 92.0, 109.0):
        close(follower, venue, feed, price)
        until(follower, lambda: "bots.tasks.advance_runs" in work(feed, redis))
        assert Run.objects.get(pk=run.pk).bar_time == venue.now - MINUTE
    backtest = expected(bot, store.load(feed.market_id, 60, start=begun + MINUTE))
    assert len(backtest.trades) > 3
    assert stored(run) == exact(backtest)
    assert len(venue.asked) == asked
    assert runs.advance_due() == 0  # what beat would have done


def test_streams_and_feeds_that_beat_syncs_meet_without_harm(bot, feed, venue, follower, redis):
    sync()
    run = services.start(Bot.objects.get(pk=bot.pk), venue.now)
    begin(follower, venue, feed, redis)
    for price in (107.0, 94.0):
        close(follower, venue, feed, price)
        Feed.objects.update(heard_from=0)  # so that beat asks for all of them again
        assert sync() == 0
        assert runs.advance_due() == 1
        assert "bots.tasks.advance_runs" in work(feed, redis)
    assert Run.objects.get(pk=run.pk).bar_time == venue.now - MINUTE
