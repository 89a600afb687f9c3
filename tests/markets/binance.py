"""A local server that answers as Binance does, and exchanges that ccxt reaches there."""

from __future__ import annotations

import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from markets.models import Exchange
from markets.simulated import real_ms

MINUTE = 60_000


FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
]


LISTED = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissionSets": [["SPOT"]],
    "permissions": [],
    "orderTypes": ["LIMIT", "MARKET"],
    "filters": FILTERS,
}


LISTED_SWAP = {
    **LISTED, "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "marginAsset": "USDT",
    "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
}  # fmt: skip


PREMIUM = {
    "symbol": "BTCUSDT", "markPrice": "100.5", "indexPrice": "100.4", "lastFundingRate": "0.00012",
    "interestRate": "0.0001", "nextFundingTime": 1_760_000_400_000, "time": 1_760_000_000_000,
}  # fmt: skip


TICKER = {"symbol": "BTCUSDT", "lastPrice": "101.5", "priceChangePercent": "2.5", "quoteVolume": "12345.6"}


def kline(time, open_="100.0", high="102.0", low="99.0", close="101.0", volume="3.5"):
    return [time, open_, high, low, close, volume, time + MINUTE - 1, "350.0", 10, "1.0", "100.0", "0"]


class Venue:
    """A local server that answers as Binance's spot API does, or as the test says instead."""

    def __init__(self) -> None:
        self.now = real_ms() // MINUTE * MINUTE
        # The last one has not closed, and will not while a test runs.
        self.klines = [kline(self.now - i * MINUTE) for i in (*range(100, 0, -1), -2)]
        self.rates: list[list[object]] = []
        self.bids = [["101.1", "2.0"], ["101.0", "3"]]
        self.ahead = 0
        self.ticker: dict[str, object] = {}
        self.listed: list[object] | None = None
        self.instead: tuple[int, bytes, dict[str, str]] | None = None
        self.asked: list[str] = []

    def answer(self, path: str) -> object:
        if "/time" in path:
            return {"serverTime": real_ms() + self.ahead}
        if "premiumIndex" in path:
            return [PREMIUM]
        if "depth" in path:
            return {"lastUpdateId": 1, "bids": self.bids, "asks": [["101.2", "1.5"], ["101.3", "2"]]}
        if "exchangeInfo" in path:
            if self.listed is not None:
                return {"symbols": self.listed}
            listed = LISTED_SWAP if "fapi" in path else LISTED
            return {"timezone": "UTC", "serverTime": self.now, "rateLimits": [], "symbols": [listed]}
        if "fundingRate" in path:
            return [
                {"symbol": "BTCUSDT", "fundingTime": time, "fundingRate": rate, "markPrice": "100"}
                for time, rate in self.rates
            ]
        if "klines" in path:
            since = int(path.split("startTime=")[1].split("&")[0])
            return [row for row in self.klines if row[0] is None or row[0] >= since]
        # What tells a spot market's from a swap's.
        quoted = {"bidPrice": "101.4", "bidQty": "1.0"} if "/api/" in path else {}
        return [TICKER | quoted | {"closeTime": self.now + 1000} | self.ticker]


@pytest.fixture
def venue():
    venue = Venue()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            venue.asked.append(self.path)
            if venue.instead and "exchangeInfo" not in self.path:
                status, body, headers = venue.instead
            else:
                status, body, headers = 200, json.dumps(venue.answer(self.path)).encode(), {}
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return formatdate((real_ms() + venue.ahead) / 1000, usegmt=True)

        def log_message(self, *args):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    venue.url = f"http://127.0.0.1:{server.server_port}"
    yield venue
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def binance(venue, db):
    config = {
        "urls": {"api": {"public": f"{venue.url}/api/v3"}},
        "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
        "rateLimit": 1,
    }
    return Exchange.objects.create(slug="binance", name="Binance", ccxt_id="binance", ccxt_config=config)


@pytest.fixture
def futures(venue, db):
    config = {
        "urls": {"api": {"public": f"{venue.url}/api/v3", "fapiPublic": f"{venue.url}/fapi/v1"}},
        "options": {"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False, "fetchMargins": False},
        "rateLimit": 1,
    }
    return Exchange.objects.create(slug="usdm", name="Binance", ccxt_id="binance", ccxt_config=config)
