"""Following a stream in tests, a step at a time, beside the worker that does the jobs it causes."""

from __future__ import annotations

import base64
import json
import time

from django.utils.module_loading import import_string

from markets import candles as store
from markets import gateway
from tests.markets.stream_venue import MINUTE, ohlcv

SYNC = "markets.tasks.sync_candles"


def jobs(redis):
    """Those that wait, taken out of the queue: (name, arguments)."""
    while found := redis.lpop("celery"):
        message = json.loads(found)
        yield message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0]


def queued(redis):
    return [name for name, _ in jobs(redis)]


def work(feed, redis):
    """Do the jobs that wait, as a worker does, by the exchange's clock as it is now; their names."""
    gateway.connect(feed.market.exchange)._measure_at = 0
    names = []
    for name, arguments in jobs(redis):
        import_string(name).apply(arguments, throw=True)
        names.append(name)
    return names


def until(follower, condition, seconds=20):
    """Let it follow until something holds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it does not come about"
        follower.turn(0.05)
    return result


def rows(feed):
    return store.load(feed.market_id, feed.timeframe).rows()


def stream_of(follower):
    (followed,) = follower._followed.values()
    return followed.stream


def begin(follower, venue, feed, redis):
    """Followed so far that the candle that forms was heard from its begin on."""
    follower.refresh()
    venue.await_subscription(2)  # candles and tickers
    venue.tell(*ohlcv(venue.now, 101.5))
    until(follower, lambda: stream_of(follower).is_heard)
    go_on(follower, venue, feed, redis)


def go_on(follower, venue, feed, redis):
    """The candle that forms closes, and as its begin was not heard it is asked for."""
    venue.pass_on()
    venue.tell(*ohlcv(venue.now))
    until(follower, lambda: SYNC in work(feed, redis))
    assert rows(feed) == venue.closed


def close(follower, venue, feed, *values):
    """A candle of these values closes; it is stored."""
    venue.tell(*ohlcv(venue.now, *values))
    venue.pass_on()
    venue.tell(*ohlcv(venue.now))
    until(follower, lambda: rows(feed)[-1][0] == venue.now - MINUTE)
    assert rows(feed)[-1] == ohlcv(venue.now - MINUTE, *values)
