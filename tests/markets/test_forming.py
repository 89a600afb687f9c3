from __future__ import annotations

from markets.forming import SETTLED_MS, Closed, Forming

KEY = ("BTC/USDT", 60)
MINUTE = 60_000
LONG_AGO = 0


def candle(minute, close=1.0):
    return minute * MINUTE, 1.0, 2.0, 0.5, close, 1.0


def test_a_candle_has_closed_when_the_next_one_is_there():
    forming = Forming()
    assert forming.hear(KEY, [candle(1)], LONG_AGO) == Closed([])
    forming.hear(KEY, [candle(1), candle(2)], LONG_AGO)
    assert forming.hear(KEY, [candle(1), candle(2, 1.5)], LONG_AGO) == Closed([])
    assert forming.hear(KEY, [candle(1), candle(2, 1.7), candle(3)], LONG_AGO) == Closed([candle(2, 1.7)])
    assert forming.hear(KEY, [candle(2, 1.7), candle(3)], LONG_AGO) == Closed([])


def test_the_first_candle_of_a_connection_is_not_believed():
    assert Forming().hear(KEY, [candle(1), candle(2)], LONG_AGO) == Closed([], unsure=True)


def test_a_candle_heard_of_after_its_end_has_closed_and_one_just_before_has_not():
    forming = Forming()
    forming.hear(KEY, [candle(1), candle(2)], LONG_AGO)
    end = 3 * MINUTE + SETTLED_MS
    assert forming.hear(KEY, [candle(2, 1.1)], end - 1) == Closed([])
    assert forming.hear(KEY, [candle(2, 1.2)], end) == Closed([candle(2, 1.2)])
    assert forming.hear(KEY, [candle(2, 1.2), candle(3)], end + 1) == Closed([])


def test_one_that_is_revised_after_its_close_is_told_again():
    forming = Forming()
    forming.hear(KEY, [candle(1), candle(2)], LONG_AGO)
    forming.hear(KEY, [candle(2), candle(3)], LONG_AGO)
    assert forming.hear(KEY, [candle(2, 1.9), candle(3)], LONG_AGO) == Closed([candle(2, 1.9)])


def test_markets_and_timeframes_are_kept_apart():
    forming = Forming()
    forming.hear(KEY, [candle(1), candle(2)], LONG_AGO)
    assert forming.hear(("ETH/USDT", 60), [candle(2), candle(3)], LONG_AGO) == Closed([], unsure=True)
    assert forming.hear(("BTC/USDT", 300), [candle(5)], LONG_AGO) == Closed([])
