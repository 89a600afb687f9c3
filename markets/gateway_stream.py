"""ccxt's websocket side: the candles and tickers of one exchange, followed in a thread of its own.

A connection that fails in any way is given up with its client, and another one is made after a pause that grows. ccxt
makes new connections by itself at times, which is taken for a failure too: nobody knows what was missed between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from markets import gateway_shapes as shapes
from markets.forming import Closed, Forming, Key
from markets.gateway_client import CcxtExchange
from markets.gateway_errors import translated
from markets.series import TIMEFRAME_NAMES
from markets.surface import GatewayError, Ticker

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
HEALTHY_S = 60.0  # a connection that lasted so long was a good one: its end is a new story
LOOK_S, TICKERS_S = 0.05, 1.0  # what arrives within so long is looked at together
MOST = 50  # candles asked for by one message, where an exchange takes many
KEEP_ALIVE_MS = 20_000  # a dead line is noticed after two of these
END_S = 0.5


class Heard(NamedTuple):
    """What a stream tells: candles of a key that have closed, or tickers by symbol."""

    key: Key | None = None
    closed: Closed = Closed([])
    tickers: dict[str, Ticker] = {}


class Stream:
    """Tells what it hears, from its own thread, until stop(). Never raises: without it candles are asked for."""

    def __init__(
        self,
        client_class: Any,
        config: dict[str, Any],
        source: Callable[[], CcxtExchange],
        wanted: Sequence[Key],
        tell: Callable[[Heard], None],
    ) -> None:
        self.name = ""
        self.is_heard = False  # whether the connection there is has told anything
        self.offset_ms = 0  # how far the exchange's clock is ahead of ours
        self.client_class, self.config, self.connect = client_class, config, source
        self.wanted, self._tell = wanted, tell
        self._failures, self._ending = 0, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._follow, name="stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending = True
        if self._loop:
            with contextlib.suppress(RuntimeError):  # it has ended by itself meanwhile
                self._loop.call_soon_threadsafe(_cancel_all)
        self._thread.join(END_S)

    def _follow(self) -> None:
        try:
            asyncio.run(self._go_on())
        except asyncio.CancelledError:
            logger.info("%s is not followed any more.", self.name)

    async def _go_on(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._ending:
            began = time.monotonic()
            try:
                await Connection(self).run()
            except Exception as error:  # ccxt's and aiohttp's tasks raise what they like; none of it may end the thread
                failure = error if isinstance(error, GatewayError) else _of_another_kind(error)
                if time.monotonic() - began > HEALTHY_S:
                    self._failures = 0
                self._failures += 1
                self._say(failure)
                if failure.permanent:
                    return
            finally:
                self.is_heard = False
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (self._failures - 1), LONGEST_PAUSE_S))

    def _say(self, error: GatewayError) -> None:
        """Once for as long as it goes on."""
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        again = "" if error.permanent else " and the stream is tried again"
        logger.log(level, "Stream of %s: %s Its candles are asked for%s.", self.name, error, again)

    def heard(self, heard: Heard) -> None:
        if not self.is_heard:
            self.is_heard = True
            logger.info("The stream of %s is followed.", self.name)
        if heard.tickers or heard.closed.rows or heard.closed.unsure:
            self._tell(heard)


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def _of_another_kind(error: Exception) -> GatewayError:
    logger.debug("an unusual end of a stream", exc_info=error)
    return GatewayError(f"It broke: {type(error).__name__} {str(error)[:200].rstrip('.')}.", permanent=False)


class Connection:
    """One client of ccxt from its start to its first failure."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.forming = stream, Forming()
        self.source: CcxtExchange
        self.client: Any = None
        self._lines: dict[str, Any] = {}
        self._looked: dict[Key, Any] = {}
        self._broken: asyncio.Future[None]

    async def run(self) -> NoReturn:
        """Raises GatewayError in the end, and nothing else but what ends the thread."""
        loop = asyncio.get_running_loop()
        self._broken = loop.create_future()
        loop.set_exception_handler(self._unexpected)
        # By the client that asks for everything else, in its thread: within the budget, and only once. Nothing waits.
        self.source = self.stream.connect()
        self.stream.name = self.source.name
        self.source.load()
        try:
            with translated(self.source.name, "a stream"):
                self._open()
                await self._first_failure([*self._candle_tasks(), *self._ticker_tasks()])
        finally:
            await self._close()
        raise GatewayError("It ended.", permanent=False)

    def _open(self) -> None:
        self.client = self.stream.client_class(self.stream.config)
        self.client.set_markets_from_exchange(self.source.client)
        self.client.throttle = self._throttle
        alive = self.client.streaming.get("keepAlive", KEEP_ALIVE_MS)
        self.client.streaming = {**self.client.streaming, "keepAlive": min(alive, KEEP_ALIVE_MS)}

    async def _throttle(self, cost: float | None = None) -> None:
        """Some have to be asked for the address of their stream: that counts as any request."""
        await asyncio.to_thread(self.source.budget.take, 1.0 if cost is None else float(cost))

    async def _first_failure(self, work: Sequence[Awaitable[None]]) -> None:
        tasks = [asyncio.ensure_future(one) for one in (*work, self._broken)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        if self.client is not None:
            await self.client.close()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What ccxt does not catch, a message that is no JSON above all: it would wait for the next one for ever."""
        if "never retrieved" in context["message"]:
            # A failure rejects all that is waited for, and the first of them has been heard.
            logger.debug("%s: %s", context["message"], context.get("exception"))
        elif not self._broken.done():
            error = context.get("exception")
            name = self.source.name
            sentence = f"{name} sent what cannot be read: {type(error).__name__} {error}"
            self._broken.set_exception(GatewayError(f"{sentence[:200].rstrip('.')}.", permanent=False))

    def _candle_tasks(self) -> list[Awaitable[None]]:
        known = self.client.timeframes or {}
        keys = [
            (symbol, timeframe)
            for symbol, timeframe in self.stream.wanted
            if symbol in self.client.markets and TIMEFRAME_NAMES[timeframe] in known
        ]
        if self.client.has.get("watchOHLCVForSymbols"):
            return [self._candles(batch, self._many(batch)) for batch in self._batches(keys)]
        if self.client.has.get("watchOHLCV"):
            return [self._candles([key], self._one(key)) for key in keys]
        raise GatewayError("ccxt knows none of its candles.", permanent=True)

    def _batches(self, keys: Sequence[Key]) -> list[list[Key]]:
        """Spot and swaps apart, as they have streams of their own."""
        kinds: dict[str, list[Key]] = {}
        for key in keys:
            kinds.setdefault(self.client.markets[key[0]]["type"], []).append(key)
        return [kind[at : at + MOST] for kind in kinds.values() for at in range(0, len(kind), MOST)]

    def _many(self, keys: Sequence[Key]) -> Callable[[], Awaitable[Any]]:
        named = [[symbol, TIMEFRAME_NAMES[timeframe]] for symbol, timeframe in keys]
        return lambda: self.client.watch_ohlcv_for_symbols(named)

    def _one(self, key: Key) -> Callable[[], Awaitable[Any]]:
        return lambda: self.client.watch_ohlcv(key[0], TIMEFRAME_NAMES[key[1]])

    async def _candles(self, keys: Sequence[Key], watch: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await self._woken(watch, LOOK_S)
            for key in keys:
                self._look(key)

    async def _woken(self, watch: Callable[[], Awaitable[Any]], pause: float) -> None:
        """What is returned is that which woke first, of one market: all there is lies in the client's own tables."""
        self._require_the_same_lines()
        try:
            await watch()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise GatewayError("The connection was closed.", permanent=False) from None
        self._require_the_same_lines()
        await asyncio.sleep(pause)

    def _require_the_same_lines(self) -> None:
        lines = dict(self.client.clients or {})
        if any(lines.get(url) is not line for url, line in self._lines.items()):
            raise GatewayError("The connection was cut.", permanent=False)
        self._lines = lines

    def _look(self, key: Key) -> None:
        symbol, timeframe = key
        entries = self.client.ohlcvs.get(symbol, {}).get(TIMEFRAME_NAMES[timeframe], [])
        last = [tuple(entry) for entry in entries[-3:]]
        if not last or self._looked.get(key) == last:
            return
        self._looked[key] = last
        now = self.source.now_ms()
        self.stream.offset_ms = now - self.source.clock.now_ms()
        closed = self.forming.hear(key, shapes.rows_of(last, timeframe), now)
        self.stream.heard(Heard(key, closed))

    def _ticker_tasks(self) -> list[Awaitable[None]]:
        if not self.client.has.get("watchTickers"):
            return []
        symbols = {symbol for symbol, _ in self.stream.wanted if symbol in self.client.markets}
        kinds: dict[str, list[str]] = {}
        for symbol in sorted(symbols):
            kinds.setdefault(self.client.markets[symbol]["type"], []).append(symbol)
        return [self._tickers(alike) for alike in kinds.values()]

    async def _tickers(self, symbols: list[str]) -> None:
        told: dict[str, Ticker] = {}
        while True:
            try:
                with translated(self.source.name, "a stream of tickers"):
                    await self._woken(lambda: self.client.watch_tickers(symbols), TICKERS_S)
            except GatewayError as error:
                if not error.permanent:
                    raise
                # Candles are what matters, and prices are asked for anyway.
                logger.info("%s Its prices are asked for.", error)
                return
            found = self._priced(symbols)
            fresh = {symbol: ticker for symbol, ticker in found.items() if told.get(symbol) != ticker}
            told |= fresh
            if fresh:
                self.stream.heard(Heard(tickers=fresh))

    def _priced(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        entries = self.client.tickers
        told = [symbol for symbol in symbols if (entries.get(symbol) or {}).get("last")]
        found = shapes.tickers(entries, told, self.source.now_ms()) if told else {}
        # Best bids and asks change with every order, and nobody who listens here keeps them.
        return {symbol: ticker._replace(bid=None, ask=None) for symbol, ticker in found.items()}
