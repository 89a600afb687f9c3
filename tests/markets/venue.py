"""A server on loopback that answers as Binance or Kraken do, with their limits, and goes wrong when it is told to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from markets.budget import Clock
from tests.markets.conftest import made_candles

MINUTE = 60_000
START = 1_760_000_040_000  # a whole minute
HOLD = {429: 7, 418: 130, 503: 20}
# Weights as ccxt has them: those of the documentation, in units of rateLimit.
WEIGHTS = {"exchangeInfo": 4, "klines": 0.4, "time": 0.2, "OHLC": 1.2, "AssetPairs": 1, "Assets": 1, "Time": 1}
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
]
LISTED = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False, "permissionSets": [["SPOT"]], "permissions": [], "orderTypes": ["LIMIT"],
    "filters": FILTERS,
}  # fmt: skip
PAIR = {
    "altname": "XBTUSDT", "wsname": "XBT/USDT", "aclass_base": "currency", "base": "XXBT", "aclass_quote": "currency",
    "quote": "USDT", "lot": "unit", "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1,
    "leverage_buy": [2, 3], "leverage_sell": [2, 3], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
    "fee_volume_currency": "ZUSD", "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1", "status": "online",
}  # fmt: skip


class PassingClock(Clock):
    """Time passes when somebody waits for it, and then at once."""

    def __init__(self, now=START):
        self.now = float(now)

    def shared_ms(self):
        return f"{self.now:.3f}"

    def now_ms(self):
        return int(self.now)

    def monotonic(self):
        return self.now / 1000

    def sleep(self, seconds):
        self.now += seconds * 1000


class Venue:
    """clock: ours; ahead: ms its own is ahead of ours; candles: of one-minute, those of now included.

    faults: number of a request for candles, from 0 on -> what is to be wrong with its answer; limit: weight it allows
    a minute; holds: (moment until which it wants to be left alone). What should not have happened is in `wrongs`.
    """

    def __init__(self, clock, days=30, ahead=0, absent=()):
        self.clock, self.ahead = clock, ahead
        self.lock = threading.Lock()
        made = made_candles(days * 1440, start=clock.now_ms() + ahead - (days * 1440 - 1) * MINUTE)
        # As strings with eight decimals, like all exchanges do; the last one is still forming.
        self.candles = [
            [row[0], *(f"{value:.8f}" for value in row[1:])] for i, row in enumerate(made.rows()) if i not in absent
        ]
        self.faults, self.asked, self.arrivals, self.wrongs = {}, [], [], []
        self.limit, self.left_alone_until, self.connections = float("inf"), 0, 0
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.stop_at = None  # number of the request that is not answered before go_on is set

    @property
    def closed(self):
        """What is to be stored in the end."""
        now = self.clock.now_ms() + self.ahead
        return [(row[0], *map(float, row[1:])) for row in self.candles if row[0] + MINUTE <= now]

    def arrive(self, endpoint):
        now = self.clock.now_ms()
        with self.lock:
            if now < self.left_alone_until:
                self.wrongs.append(f"{endpoint} {self.left_alone_until - now} ms before it may be asked again")
            self.arrivals.append((now, WEIGHTS.get(endpoint, 1)))
            weight = sum(weight for moment, weight in self.arrivals if moment > now - 60_000)
            if weight > self.limit:
                self.wrongs.append(f"{weight} in a minute at {endpoint}, {self.limit} allowed")

    def fault(self, since):
        with self.lock:
            number = len(self.asked)
            self.asked.append(since)
        if number == self.stop_at:
            self.reached.set()
            assert self.go_on.wait(60)
        return self.faults.get(number)

    def page(self, since, limit):
        first = next((i for i, row in enumerate(self.candles) if row[0] >= since), len(self.candles))
        return [list(row) for row in self.candles[first : first + limit]]


def spoilt(fault, rows):
    """(status, body, headers) of an answer that says something else than these rows."""
    if fault in (429, 418, 503):
        return fault, b'{"code":-1003,"msg":"Way too much request weight used."}', {"Retry-After": str(HOLD[fault])}
    if fault == "maintenance":
        return 503, b"<html>We are improving our systems.</html>", {"Content-Type": "text/html"}
    if fault in ("malformed", 500):
        return (500, b"", {}) if fault == 500 else (200, json.dumps(rows).encode()[:-30], {})
    changed = {
        "empty": lambda: [],
        "duplicated": lambda: [row for row in rows for _ in range(2)],
        "contradicting": lambda: [*rows, [rows[-1][0], "9", "9", "9", "9", "9", *rows[-1][6:]]],
        "shuffled": lambda: rows[::-1],
        "missing": lambda: rows[:300] + rows[305:],
        "revised": lambda: [*rows[:-1], [*rows[-1][:5], "0.00000001", *rows[-1][6:]]],
        "nothing known": lambda: [[None] * len(rows[0]) for _ in rows],
        "half known": lambda: [[rows[0][0], *rows[0][1:4], None, *rows[0][5:]], *rows[1:]],
    }
    return 200, json.dumps(changed[fault]()).encode(), {}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    venue: Venue

    def setup(self):
        super().setup()
        self.venue.connections += 1

    def do_GET(self):
        url = urlsplit(self.path)
        endpoint = url.path.rsplit("/", 1)[1]
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.venue.arrive(endpoint)
        fault = None
        if endpoint in ("klines", "OHLC"):
            fault = self.venue.fault(int(query.get("startTime") or query["since"]))
        if fault == "timeout":
            self.close_connection = True
            return self.rfile.read(1)  # until the client hangs up
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        if fault == "truncated":
            self.close_connection = True
            return self.answer(200, b'[["17', {"Content-Length": "5000"})
        told = getattr(self, f"on_{endpoint}")(query)
        return self.answer(*(spoilt(fault, told) if fault else (200, json.dumps(told).encode(), {})))

    def answer(self, status, body, headers):
        if "Retry-After" in headers:
            self.venue.left_alone_until = self.venue.clock.now_ms() + 1000 * int(headers["Retry-After"])
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def now(self):
        return self.venue.clock.now_ms() + self.venue.ahead

    def on_time(self, query):
        return {"serverTime": self.now()}

    def on_exchangeInfo(self, query):
        return {"timezone": "UTC", "serverTime": self.now(), "rateLimits": [], "symbols": [LISTED]}

    def on_klines(self, query):
        page = self.venue.page(int(query["startTime"]), min(int(query["limit"]), 1000))
        return [[*row, row[0] + MINUTE - 1, "350.0", 10, "1.0", "100.0", "0"] for row in page]

    def on_Time(self, query):
        return {"error": [], "result": {"unixtime": self.now() // 1000}}

    def on_Assets(self, query):
        return {"error": [], "result": {"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10},
                                        "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8}}}  # fmt: skip

    def on_AssetPairs(self, query):
        return {"error": [], "result": {"XBTUSDT": PAIR}}

    def on_OHLC(self, query):
        """The last 720, whatever is asked for."""
        rows = [row for row in self.venue.candles[-720:] if row[0] // 1000 > int(query["since"])]
        told = [[row[0] // 1000, *row[1:5], row[4], row[5], 7] for row in rows]
        return {"error": [], "result": {"XBTUSDT": told, "last": rows[-2][0] // 1000 if rows else 0}}

    def date_time_string(self, timestamp=None):
        return format_datetime(datetime.fromtimestamp(self.now() / 1000, UTC), usegmt=True)

    def log_message(self, *args):
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients hang up here on purpose."""


def serve(venue):
    """Start answering; (address, what stops it)."""
    server = Server(("127.0.0.1", 0), type("VenueAnswers", (Answers,), {"venue": venue}))
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()

    def stop():
        venue.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(10)

    return f"http://127.0.0.1:{server.server_port}", stop


def binance_config(url, **more):
    return {
        "urls": {"api": {"public": f"{url}/api/v3"}},
        "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
        "timeout": 400,
        **more,
    }


def kraken_config(url, **more):
    return {"urls": {"api": {"public": url}}, "timeout": 400, **more}
