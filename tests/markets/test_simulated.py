from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets import precision, series, simulated
from markets.simulated import DAY_MS, FUNDING_MS, LISTINGS, MINUTE_MS, SimulatedExchange
from markets.surface import GatewayError

NOW = 1_760_000_000_000 + 34_567  # some seconds into a minute


def exchange(now: int = NOW, seed: int = 42, speed: float = 1.0, anchor: int = NOW) -> SimulatedExchange:
    return SimulatedExchange(seed, anchor, speed, real_clock=lambda: now)


symbols = st.sampled_from(sorted(LISTINGS))


@given(symbol=symbols, day=st.integers(20_000, 20_400), seed=st.integers(0, 2**63))
def test_every_day_of_every_market_is_consistent_and_on_tick_and_lot(symbol, day, seed):
    candles = simulated.day_candles(seed, symbol, day)
    series.check(candles, 60)
    assert len(candles) == 1440
    tick, lot = float(LISTINGS[symbol].tick), float(LISTINGS[symbol].lot)
    for i in (0, 700, 1439):
        assert all(precision.round_to_step(x, tick) == x for x in candles.row(i)[1:5])
        assert precision.round_to_step(candles.volume[i], lot) == candles.volume[i]


@given(symbol=symbols, offset=st.integers(0, 50 * 1440), count=st.integers(1, 1000))
def test_any_window_has_the_candles_of_the_whole(symbol, offset, count):
    since = NOW - 55 * DAY_MS + offset * MINUTE_MS
    rows = exchange().fetch_ohlcv(symbol, 60, since, count)
    assert len(rows) == count
    for row in (rows[0], rows[-1]):
        day = simulated.day_candles(42, symbol, row[0] // DAY_MS)
        assert day.row(row[0] % DAY_MS // MINUTE_MS) == row


def test_asking_again_after_forgetting_gives_the_same_bytes():
    first = exchange().fetch_ohlcv("BTC/USDT", 60, NOW - DAY_MS, 1000)
    simulated.day_candles.cache_clear()
    simulated._anchors.cache_clear()
    assert exchange().fetch_ohlcv("BTC/USDT", 60, NOW - DAY_MS, 1000) == first
    assert exchange(seed=43).fetch_ohlcv("BTC/USDT", 60, NOW - DAY_MS, 1000) != first


def test_days_join_without_a_jump():
    for symbol, listing in LISTINGS.items():
        close = simulated.day_candles(42, symbol, 20_000).close[-1]
        open_ = simulated.day_candles(42, symbol, 20_001).open[0]
        assert abs(np.log(open_ / close)) < listing.volatility / 2


@pytest.mark.parametrize("timeframe", [300, 3600, 86400])
def test_higher_timeframes_are_the_minutes_resampled(timeframe):
    start = series.open_time(NOW - 5 * DAY_MS, 86400)
    days = [simulated.day_candles(42, "ETH/USDT", start // DAY_MS + i) for i in range(3)]
    expected = series.resample(series.Candles.joined(days), 60, timeframe)
    assert exchange().fetch_ohlcv("ETH/USDT", timeframe, start, len(expected)) == expected.rows()


def test_only_closed_candles_are_given():
    rows = exchange().fetch_ohlcv("SOL/USDT", 60, NOW - 10 * MINUTE_MS, 1000)
    assert rows[-1][0] == series.open_time(NOW, 60) - MINUTE_MS
    assert exchange().fetch_ohlcv("SOL/USDT", 60, NOW, 1000) == []


def test_history_reaches_sixty_days_back():
    rows = exchange().fetch_ohlcv("SOL/USDT", 3600, 0, 1000)
    assert rows[0][0] == series.open_time(NOW - 60 * DAY_MS, 3600) + 3_600_000
    assert len(rows) == 1000


def test_the_price_inside_a_minute_moves_and_ends_at_its_close():
    minute = series.open_time(NOW, 60)
    prices = [exchange(minute + ms).fetch_tickers(["BTC/USDT"])["BTC/USDT"].last for ms in (0, 7_000, 31_000, 59_999)]
    row = exchange(minute + MINUTE_MS).fetch_ohlcv("BTC/USDT", 60, minute, 1)[0]
    assert prices[0] == row[1]
    assert prices[-1] == pytest.approx(row[4], rel=1e-4)
    assert all(row[3] <= price <= row[2] for price in prices)
    assert len(set(prices)) > 2


def test_a_fast_clock_starts_back_runs_and_never_passes_the_present():
    start = NOW - 30 * DAY_MS
    assert exchange(NOW, speed=60).now_ms() == start
    assert exchange(NOW + 1000, speed=60).now_ms() == start + 60_000
    assert exchange(NOW + 365 * DAY_MS, speed=60).now_ms() == NOW + 365 * DAY_MS
    assert exchange(NOW + 1000, speed=1).now_ms() == NOW + 1000


def test_what_is_not_listed_is_refused_for_good():
    with pytest.raises(GatewayError, match="no market XAU/USDT") as caught:
        exchange().fetch_ohlcv("XAU/USDT", 60, NOW, 10)
    assert caught.value.permanent
    with pytest.raises(GatewayError, match="no candles of 7 seconds"):
        exchange().fetch_ohlcv("BTC/USDT", 7, NOW, 10)


def test_swaps_are_listed_with_what_they_allow_and_trade_at_the_price_of_their_spot_market():
    swaps = {info.symbol: info for info in exchange().fetch_markets() if info.type == "swap"}
    assert list(swaps) == ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT"]
    assert (swaps["BTC/USDT:USDT"].max_leverage, str(swaps["BTC/USDT:USDT"].maintenance_rate)) == (100, "0.005000")
    spot, swap = (exchange().fetch_ohlcv(symbol, 60, NOW - DAY_MS, 10) for symbol in ("BTC/USDT", "BTC/USDT:USDT"))
    assert [row[:5] for row in swap] == [row[:5] for row in spot]
    assert [row[5] for row in swap] != [row[5] for row in spot]


def test_funding_is_due_every_eight_hours_and_any_window_has_the_rates_of_the_whole():
    rates = exchange().fetch_funding_rates("BTC/USDT:USDT", NOW - 10 * DAY_MS)
    assert len(rates) == 30
    assert {rate.time % FUNDING_MS for rate in rates} == {0}
    assert rates[-1].time <= NOW
    assert exchange().fetch_funding_rates("BTC/USDT:USDT", rates[3].time, 5) == rates[3:8]
    assert exchange().fetch_funding_rates("BTC/USDT:USDT", rates[-1].time + 1) == []
    values = np.array([rate.rate for rate in exchange().fetch_funding_rates("BTC/USDT:USDT", 0)])
    assert len(values) == 180
    assert (values < 0).any()
    assert 0 < values.mean() < 0.0003
    with pytest.raises(GatewayError, match="is no swap and has no funding"):
        exchange().fetch_funding_rates("BTC/USDT", 0)


def test_there_are_twenty_spot_markets_and_the_lively_ones_cross_a_grid_every_few_minutes():
    assert len([info for info in exchange().fetch_markets() if info.type == "spot"]) == 20
    close = simulated.day_candles(42, "DOGE/USDT", 20_000).close
    crossed = np.abs(np.diff(np.floor(np.log(close) / 0.003))).sum()
    assert crossed > 1440 / 10


def test_volatility_clusters_and_volume_follows_it():
    days = series.Candles.joined(simulated.day_candles(42, "BTC/USDT", 20_000 + i) for i in range(20))
    moves = np.abs(np.diff(np.log(days.close)))
    assert np.corrcoef(moves[1:], moves[:-1])[0, 1] > 0.1
    assert np.corrcoef(moves, days.volume[1:])[0, 1] > 0.3
    assert (days.open[1:] != days.close[:-1]).mean() > 0.05
