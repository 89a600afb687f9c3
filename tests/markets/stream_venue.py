"""A server on loopback whose REST side and streams are shaped like Binance's or Kraken's; a test says what happens."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime

from aiohttp import WSMsgType, web

from markets.budget import CLOCK
from tests.markets.venue import LISTED, PAIR

MINUTE = 60_000


def ohlcv(time, close=101.0, volume=3.5):
    return time, 100.0, max(102.0, close), min(99.0, close), close, volume


class StreamVenue:
    """Whoever asks for the time is told that the minute `now` began a second ago, until the test moves it on.

    candles: open time -> closed or forming candle, as REST gives those that have begun; asked: times asked for.
    """

    def __init__(self):
        self.ahead = 1_000 - CLOCK.now_ms() % MINUTE
        self.now = (CLOCK.now_ms() + self.ahead) // MINUTE * MINUTE
        self.candles = {time: ohlcv(time) for time in range(self.now - 10 * MINUTE, self.now, MINUTE)}
        self.asked, self.subscribed, self.refuses = [], [], False
        self.connections, self._lines = 0, []
        self.change = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    # what a test says

    def pass_on(self, minutes=1):
        """Time goes on; those who have measured the clock before do not know."""
        self.now += minutes * MINUTE
        self.ahead += minutes * MINUTE

    def say(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        asyncio.run_coroutine_threadsafe(self._say(text), self._loop).result(10)

    def tell(self, *row, symbol="BTCUSDT"):
        """A candle as it is now, over the stream of Binance and, from now on, by REST."""
        self.candles[row[0]] = row
        time, *values = row
        names = dict(zip("ohlcv", map(str, values), strict=True))
        self.say({"e": "kline", "E": time, "s": symbol, "k": {"t": time, "T": time + MINUTE - 1, "s": symbol, "i": "1m",
                                                             **names, "x": False}})  # fmt: skip

    def tell_kraken(self, *row, kind="update"):
        self.candles[row[0]] = row
        begin = datetime.fromtimestamp(row[0] / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
        names = dict(zip(("open", "high", "low", "close", "volume"), row[1:], strict=True))
        self.say({"channel": "ohlc", "type": kind, "timestamp": begin,
                  "data": [{"symbol": "BTC/USDT", "interval": 1, "interval_begin": begin, **names}]})  # fmt: skip

    def cut(self):
        """As when a cable is pulled out at the other end: no goodbye."""
        self._loop.call_soon_threadsafe(lambda: [line._req.transport.abort() for line in self._lines])

    def await_subscription(self, count, seconds=20):
        with self.change:
            assert self.change.wait_for(lambda: len(self.subscribed) >= count, seconds), self.subscribed

    def stop(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    # what it does

    async def _serve(self):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_get("/ws{rest:.*}", self._stream)
        application.router.add_get("/{rest:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url, self.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws"
        self._started.set()
        await self._end.wait()
        self.cut()
        await runner.cleanup()

    async def _say(self, text):
        for line in self._lines:
            await line.send_str(text)

    async def _stream(self, request):
        if self.refuses:
            return web.Response(status=503)
        line = web.WebSocketResponse()
        await line.prepare(request)
        self._lines.append(line)
        self.connections += 1
        async for message in line:
            if message.type == WSMsgType.TEXT:
                await self._subscribe(line, json.loads(message.data))
        self._lines.remove(line)
        return line

    async def _subscribe(self, line, asked):
        if asked.get("method") in ("SUBSCRIBE", "subscribe"):
            await line.send_str(json.dumps({"result": None, "id": asked.get("id")}))
            with self.change:
                self.subscribed.append(asked["params"])
                self.change.notify_all()

    async def _answer(self, request):
        return web.json_response(getattr(self, f"_{request.path.rsplit('/', 1)[1]}")(request.query))

    def _time(self, query):
        return {"serverTime": self.now + 1_000}

    def _exchangeInfo(self, query):
        listed = [{**LISTED, "symbol": f"{base}USDT", "baseAsset": base} for base in ("BTC", "ETH")]
        return {"timezone": "UTC", "serverTime": self.now, "rateLimits": [], "symbols": listed}

    def _klines(self, query):
        since = int(query["startTime"])
        self.asked.append(since)
        return [[*self.candles[time], time + MINUTE - 1, "350.0", 10, "1.0", "100.0", "0"]
                for time in sorted(self.candles) if time >= since]  # fmt: skip

    def _Time(self, query):
        return {"error": [], "result": {"unixtime": self.now // 1000 + 1}}

    def _Assets(self, query):
        return {"error": [], "result": {"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10},
                                        "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8}}}  # fmt: skip

    def _AssetPairs(self, query):
        return {"error": [], "result": {"XBTUSDT": PAIR}}

    @property
    def closed(self):
        return [self.candles[time] for time in sorted(self.candles) if time < self.now]

    @property
    def binance(self):
        return {
            "urls": {"api": {"public": f"{self.url}/api/v3", "ws": {"spot": self.ws}}},
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False,
                        "ws": {"cost": 0.01}},
            "timeout": 2000,
        }  # fmt: skip

    @property
    def kraken(self):
        return {"urls": {"api": {"public": self.url, "ws": {"publicV2": self.ws}}}, "timeout": 2000}
