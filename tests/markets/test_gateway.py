# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

import subprocess
import sys

import pytest

from markets import gateway_shapes, services
from markets.benchmarks import gateway as benchmark
from markets.gateway import GatewayError, connect
from markets.models import Candle, Exchange, Feed, Market
from markets.simulated import SimulatedExchange, real_ms
from orchestrator.home import PROJECT
from tests.markets.binance import LISTED, MINUTE, TICKER, binance, futures, kline, venue  # noqa: F401 (fixtures)
from tests.markets.venue import PassingClock

SWAP = {
    "id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "swap": True, "contractSize": 0.01,
    "precision": {"price": 0.1, "amount": 1}, "maker": 0.0002, "taker": 0.0005, "active": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "leverage", "maintenance"),
    [
        ({"leverage": {"max": 125}}, "125", "0.004000"),
        ({"leverage": {"max": 50.0}}, "50.0", "0.010000"),
        ({"leverage": {"max": None}}, "20", "0.025000"),
        ({}, "20", "0.025000"),
        ({"leverage": {"max": 5000}}, "1000", "0.000500"),
    ],
)
def test_a_swap_tells_its_leverage_or_gets_the_usual_one(told, leverage, maintenance):
    info = gateway_shapes.market_info(SWAP | {"limits": {"amount": {"min": 1}} | told}, mode=4)
    assert (info.type, str(info.lot), str(info.min_amount)) == ("swap", "0.01", "0.01")
    assert (str(info.max_leverage), str(info.maintenance_rate)) == (leverage, maintenance)


def test_a_listed_swap_comes_with_what_it_allows(futures):
    (market,) = connect(futures).fetch_markets()
    assert (market.symbol, market.type, market.max_leverage) == ("BTC/USDT:USDT", "swap", 20)
    assert str(market.maintenance_rate) == "0.025000"


def test_markets_come_with_ticks_limits_and_fees(binance):
    (market,) = connect(binance).fetch_markets()
    assert (market.symbol, market.base, market.quote, market.type) == ("BTC/USDT", "BTC", "USDT", "spot")
    assert [str(x.normalize()) for x in (market.tick, market.lot, market.min_amount)] == ["0.01", "0.00001", "0.00001"]
    assert market.min_cost == 5
    assert market.maker == market.taker
    assert market.active


def test_closed_candles_come_as_numbers_and_the_forming_one_does_not(binance, venue):
    rows = connect(binance).fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)
    assert rows[0] == (venue.now - 10 * MINUTE, 100.0, 102.0, 99.0, 101.0, 3.5)
    assert rows[-1][0] == venue.now - MINUTE


def test_tickers_are_told_with_change_and_turnover(binance, venue):
    (ticker,) = connect(binance).fetch_tickers(["BTC/USDT"]).values()
    assert (ticker.symbol, ticker.last, ticker.time) == ("BTC/USDT", 101.5, venue.now + 1000)
    assert ticker.change_24h == pytest.approx(0.025)
    assert ticker.quote_volume_24h == 12345.6
    assert (ticker.bid, ticker.ask) == (None, None)


@pytest.mark.parametrize(
    ("bid", "ask", "told"),
    [("101.4", "101.6", (101.4, 101.6)), ("0", "0", (None, None)), ("101.6", "101.4", (None, None)),
     ("NaN", "101.6", (None, None)), (None, "101.6", (None, None))],
)  # fmt: skip
def test_a_ticker_has_best_bid_and_ask_where_they_can_be(binance, venue, bid, ask, told):
    venue.ticker = {"bidPrice": bid, "askPrice": ask}
    (ticker,) = connect(binance).fetch_tickers(["BTC/USDT"]).values()
    assert (ticker.bid, ticker.ask) == told


def test_tickers_of_spot_and_swaps_come_together_without_what_is_not_listed(futures, venue):
    futures.ccxt_config["options"]["fetchMarkets"]["types"] = ["spot", "linear"]
    found = connect(futures).fetch_tickers(["BTC/USDT", "BTC/USDT:USDT", "GONE/USDT"])
    assert set(found) == {"BTC/USDT", "BTC/USDT:USDT"}
    asked = [path.split("?")[0] for path in venue.asked if "ticker" in path]
    assert asked == ["/api/v3/ticker/24hr", "/fapi/v1/ticker/24hr"]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"lastPrice": None}, "none of 1 has a price"),
        ({"lastPrice": "NaN"}, "tickers that cannot be read"),
        ({"lastPrice": "-1"}, "last price must be above 0"),
        (dict.fromkeys(TICKER, None), "none of 1 has a price"),
    ],
)
def test_a_ticker_that_cannot_be_is_an_error(binance, venue, told, sentence):
    venue.ticker = told
    with pytest.raises(GatewayError, match=sentence):
        connect(binance).fetch_tickers(["BTC/USDT"])


@pytest.mark.parametrize("told", [4_102_444_800_000, -4_102_444_800_000])
def test_a_ticker_from_the_future_counts_as_told_now(binance, venue, told):
    """No later price would replace it."""
    venue.ticker = {"closeTime": told}
    (ticker,) = connect(binance).fetch_tickers(["BTC/USDT"]).values()
    assert abs(ticker.time - real_ms()) < MINUTE


def test_funding_rates_come_settled_and_ascending(futures, venue):
    hour = 3_600_000
    venue.rates = [[venue.now - 8 * hour, "0.0001"], [venue.now - 16 * hour, "-0.0002"], [venue.now + hour, "0.0003"]]
    source = connect(futures)
    rates = source.fetch_funding_rates("BTC/USDT:USDT", venue.now - 20 * hour, 100)
    assert [tuple(rate) for rate in rates] == [(venue.now - 16 * hour, -0.0002), (venue.now - 8 * hour, 0.0001)]
    assert source.fetch_funding_rates("BTC/USDT:USDT", venue.now - 9 * hour, 100) == rates[1:]
    venue.rates = [[venue.now - hour, "7"]]
    with pytest.raises(GatewayError, match=r"funding rate 7\.0 is not a fraction"):
        source.fetch_funding_rates("BTC/USDT:USDT", venue.now - 9 * hour, 100)


@pytest.mark.parametrize(
    ("status", "body", "headers", "sentence", "permanent"),
    [
        (429, b'{"code":-1003,"msg":"Too many requests."}', {"Retry-After": "1"}, "asks for fewer requests", False),
        (418, b'{"code":-1003,"msg":"Banned."}', {}, "asks for fewer requests", False),
        (500, b"", {}, "cannot be reached", False),
        (503, b"<html>maintenance</html>", {"Content-Type": "text/html"}, "cannot be reached", False),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', {}, "refused", True),
        (200, b"[[17000000000", {}, "cannot be read", False),
        (200, b"", {}, "cannot be read", False),
        (200, b'[["17', {"Content-Length": "100"}, "cannot be reached", False),
        (200, b'{"surprise": [1]}', {}, "cannot be read", False),
        (400, b"no \0 such \x07 thing", {}, "binance 400 Bad Request no such thing", False),
    ],
)
def test_what_goes_wrong_is_one_kind_of_error_with_a_sentence(
    binance, venue, status, body, headers, sentence, permanent
):
    source = connect(binance, PassingClock(venue.now), patience=1000)
    source.fetch_markets()
    venue.instead = (status, body, headers)
    with pytest.raises(GatewayError, match=sentence) as caught:
        source.fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)
    assert caught.value.permanent is permanent
    assert len(str(caught.value)) < 300
    venue.instead = None
    assert source.fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"high": "98.0"}, "is below low"),
        ({"close": None}, "close must be a finite number"),
        ({"volume": "-1"}, "volume must be 0 or more"),
        ({"open_": "NaN"}, "open"),
        ({"low": "0"}, "low must be above 0"),
        ({"high": "1e300"}, r"high must be below 1e\+20"),
        ({"volume": "1e300"}, r"volume must be below 1e\+20"),
    ],
)
def test_an_impossible_candle_is_an_error_not_data(binance, venue, row, sentence):
    venue.klines[95] = kline(venue.klines[95][0], **row)
    with pytest.raises(GatewayError, match=sentence):
        connect(binance).fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)


def test_a_candle_with_columns_missing_is_an_error(binance, venue):
    venue.klines[95] = venue.klines[95][:2]
    with pytest.raises(GatewayError, match="high must be a finite number"):
        connect(binance).fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)


def test_a_candle_told_twice_in_two_ways_is_an_error(binance, venue):
    venue.klines[96] = kline(venue.klines[95][0], volume="4")
    with pytest.raises(GatewayError, match="is a duplicate"):
        connect(binance).fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)


def test_a_candle_told_twice_alike_counts_once(binance, venue):
    venue.klines += venue.klines[90:95]
    times = [row[0] for row in connect(binance).fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)]
    assert times == list(range(venue.now - 10 * MINUTE, venue.now, MINUTE))


@pytest.mark.parametrize("ahead", [3_600_000, -3_600_000])
@pytest.mark.parametrize("config", [{}, {"has": {"fetchTime": False}}], ids=["told", "in the header Date"])
def test_a_clock_that_is_wrong_is_corrected_and_never_runs_ahead(binance, venue, ahead, config):
    venue.ahead = ahead
    binance.ccxt_config |= config
    source = connect(binance)
    before = real_ms()
    assert before + ahead - 2000 <= source.now_ms() <= real_ms() + ahead
    # By the exchange's clock, a candle is open an hour longer, or was closed an hour ago.
    rows = source.fetch_ohlcv("BTC/USDT", 60, venue.now - 100 * MINUTE, 1000)
    closed = (ahead < 0) * 60
    assert len(rows) in ((100 - closed, 99 - closed) if closed else (101,))


@pytest.mark.parametrize("ahead", [10**13, -(10**12)])
def test_a_clock_that_is_years_off_closes_no_candle_early(binance, venue, ahead):
    venue.ahead = ahead
    source = connect(binance)
    assert abs(source.now_ms() - real_ms()) < MINUTE
    rows = source.fetch_ohlcv("BTC/USDT", 60, venue.now - 10 * MINUTE, 1000)
    assert rows[-1][0] == venue.now - MINUTE


def test_the_order_book_comes_best_first(binance, venue):
    book = connect(binance).fetch_order_book("BTC/USDT", 5)
    assert book.bids == [(101.1, 2.0), (101.0, 3.0)]
    assert book.asks == [(101.2, 1.5), (101.3, 2.0)]
    assert len(connect(binance).fetch_order_book("BTC/USDT", 1).asks) == 1


@pytest.mark.parametrize(
    ("bids", "sentence"),
    [
        ([["101.2", "1"]], "best bid 101.2 is not below its best ask 101.2"),
        ([[None, None]], "that cannot be read"),
        ([["0", "1"]], "price must be above 0"),
        ([["nan", "1"]], "price must be above 0"),
    ],
)
def test_an_order_book_that_cannot_be_is_an_error(binance, venue, bids, sentence):
    venue.bids = bids
    with pytest.raises(GatewayError, match=sentence):
        connect(binance).fetch_order_book("BTC/USDT", 5)


def test_mark_prices_come_with_the_rate_that_is_due(futures):
    (price,) = connect(futures).fetch_mark_prices(["BTC/USDT:USDT"]).values()
    assert price == ("BTC/USDT:USDT", 1_760_000_000_000, 100.5, 100.4, 0.00012, 1_760_000_400_000)


@pytest.mark.parametrize("odd", [{"markPrice": None}, {"markPrice": 0}, {"fundingRate": "7"}, {"indexPrice": "nan"}])
def test_an_odd_mark_price_costs_no_other_and_nothing_else_is_an_error(odd, caplog):
    plain = {"symbol": "A/USDT:USDT", "markPrice": 100.5}
    answer = {"A/USDT:USDT": plain, "B/USDT:USDT": plain | odd}
    assert list(gateway_shapes.mark_prices(answer, [*answer, "C/USDT:USDT"], 1)) == ["A/USDT:USDT"]
    assert "mark price of 'B/USDT:USDT' is left out" in caplog.text
    with pytest.raises((TypeError, ValueError)):
        gateway_shapes.mark_prices(answer, ["B/USDT:USDT"], 1)


def test_an_odd_ticker_costs_no_other():
    plain = {"symbol": "A/USDT", "timestamp": 1, "last": 100.5}
    answer = {"A/USDT": plain, "B/USDT": plain | {"last": "NaN"}, "C/USDT": plain | {"last": -1}}
    assert list(gateway_shapes.tickers(answer, list(answer), 1)) == ["A/USDT"]


def test_an_odd_market_costs_no_other_and_a_list_of_nothing_is_an_error(binance, venue, caplog):
    source = connect(binance)
    free = LISTED | {"symbol": "ETHUSDT", "baseAsset": "ETH"}
    unseen = LISTED | {"baseAsset": "N\0L", "symbol": "NULUSDT"}
    venue.listed = [free, LISTED | {"baseAsset": "B" * 30, "symbol": "LONG"}, LISTED | {"filters": []}, unseen]
    assert [market.symbol for market in source.fetch_markets()] == ["ETH/USDT"]
    assert "base must have 1 to 20 characters" in caplog.text
    assert "symbol must be text that can be seen" in caplog.text
    venue.listed = [dict.fromkeys(LISTED)]
    with pytest.raises(GatewayError, match="its list of markets that cannot be read"):
        source.fetch_markets()


def test_no_fee_is_no_unknown_fee():
    market = SWAP | {"limits": {}, "maker": 0, "taker": None}
    info = gateway_shapes.market_info(market, mode=4)
    assert (info.maker, str(info.taker)) == (0, "0.001")


LOADED = """
import sys
from markets.gateway_loading import exchange_class
assert exchange_class("binance")({}).id == "binance"
exchanges = {name for name in sys.modules if name.startswith("ccxt.")} & {"ccxt.kraken", "ccxt.bybit", "ccxt.okx"}
import ccxt
same = ccxt.NetworkError is sys.modules["ccxt.base.errors"].NetworkError
print(len(exchanges), same, ccxt.kraken.__name__, "ccxt.kraken" in sys.modules)
"""


def test_one_exchange_is_loaded_without_the_hundred_others_and_ccxt_stays_whole():
    told = subprocess.run([sys.executable, "-c", LOADED], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["0", "True", "kraken", "True"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ([1], r"must be a JSON object, not \[1\]"),
        ({"apiKey": "k", "secret": "s"}, "must not hold apiKey, secret"),
        ({"timeout": {"a": 1}, "rateLimit": "fast"}, "does not fit ccxt's binance"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_for_good(db, config, sentence):
    exchange = Exchange(slug="x", name="X", ccxt_id="binance", ccxt_config=config)
    with pytest.raises(GatewayError, match=sentence) as caught:
        connect(exchange)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("ccxt_id", "sentence"),
    [
        ("coinbaseexchange", "has no candles of 4h, but of 1m, 5m, 15m, 1h, 6h, 1d"),
        ("coincheck", "Coincheck gives no candles"),
    ],
)
def test_candles_that_an_exchange_does_not_make_are_not_asked_for(db, ccxt_id, sentence):
    source = connect(Exchange(slug="x", name="X", ccxt_id=ccxt_id))
    with pytest.raises(GatewayError, match=sentence) as caught:
        source.fetch_ohlcv("BTC/USD", 14_400, 0, 10)
    assert caught.value.permanent
    assert source.requests == 0


def test_an_unknown_symbol_is_refused_for_good(binance):
    with pytest.raises(GatewayError, match="XAU/USDT") as caught:
        connect(binance).fetch_ohlcv("XAU/USDT", 60, 0, 10)
    assert caught.value.permanent


def test_nobody_listening_is_told_as_unreachable(db):
    config = {"urls": {"api": {"public": "http://127.0.0.1:1/api/v3"}}, "options": {"fetchCurrencies": False}}
    exchange = Exchange.objects.create(slug="dead", name="Dead", ccxt_id="binance", ccxt_config=config)
    with pytest.raises(GatewayError, match="cannot be reached") as caught:
        connect(exchange).fetch_ohlcv("BTC/USDT", 60, 0, 10)
    assert not caught.value.permanent


def test_a_feed_of_a_real_exchange_is_synced_end_to_end(binance, venue):
    services.sync_markets(binance)
    feed = Feed.objects.create(market=Market.objects.get(), timeframe=60)
    assert services.sync() == Candle.objects.count() == 100
    venue.instead = (503, b"", {})
    Feed.objects.update(synced_to=venue.now - 5 * MINUTE)
    services.sync()
    feed.refresh_from_db()
    assert "cannot be reached" in feed.error
    assert services.refresh_tickers() == 0
    venue.instead = None
    Feed.objects.update(checked_at=None)
    assert services.refresh_tickers() == 1
    services.sync()
    feed.refresh_from_db()
    assert feed.error == ""


def test_one_client_per_configuration_keeps_the_rate_limit(binance):
    assert connect(binance) is connect(Exchange.objects.get(pk=binance.pk))
    binance.ccxt_config = {**binance.ccxt_config, "timeout": 5000}
    assert connect(binance).client.timeout == 5000
    binance.ccxt_config = {**binance.ccxt_config, "enableRateLimit": False}
    assert connect(binance).client.enableRateLimit is True


def test_the_simulated_exchange_is_built_in(exchange):
    assert isinstance(connect(exchange), SimulatedExchange)
    exchange.ccxt_config = {"seed": "many"}
    with pytest.raises(GatewayError, match="whole numbers seed and anchor_ms"):
        connect(exchange)


@pytest.mark.parametrize(("ccxt_id", "sentence"), [("file", "has no connection"), ("nowhere", "There is no exchange")])
def test_what_cannot_be_connected_is_refused_for_good(db, ccxt_id, sentence):
    exchange = Exchange.objects.create(slug="x", name="X", ccxt_id=ccxt_id)
    with pytest.raises(GatewayError, match=sentence) as caught:
        connect(exchange)
    assert caught.value.permanent


def test_the_benchmark_of_the_gateway_compares_with_the_whole_of_ccxt(monkeypatch, redis):
    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    time, memory, _, stream_memory, turn = benchmark.rows({})
    assert memory["ratio"] < 0.8
    assert stream_memory["ratio"] < 0.8
    assert time["unit"] == turn["unit"] == "ms"
    assert 0 < turn["value"] < time["value"] * 1000
