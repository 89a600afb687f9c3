"""What the simulated exchange quotes at this moment: order books and mark prices, made of its candles."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from markets.precision import round_to_step
from markets.series import Row
from markets.simulated import FUNDING_MS, LISTINGS, PAGE, SimulatedExchange, funding_rate, real_ms
from markets.surface import GatewayError, MarkPrice, OrderBook

_QUIET_MS = 1_000  # an order book stays as it is for so long
_SHARE = 1e-5  # of the daily turnover, what a level holds on average


class SimulatedQuotes(SimulatedExchange):
    """The whole of surface.Gateway."""

    def __init__(self, seed: int, anchor: int, speed: float = 1.0, real_clock: Callable[[], int] = real_ms) -> None:
        super().__init__(seed, anchor, speed, real_clock)
        self.requests = 0

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int = PAGE) -> list[Row]:
        self.requests += 1
        return super().fetch_ohlcv(symbol, timeframe, since, limit)

    def fetch_order_book(self, symbol: str, limit: int) -> OrderBook:
        """Levels a tick apart around the last price; amounts are exponentially distributed. See surface.Gateway."""
        listing, now = self._listing(symbol), self.now_ms()
        tick, last = float(listing.tick), self._ticker(symbol, now).last
        key = self.seed, zlib.crc32(symbol.encode()), now // _QUIET_MS
        mean = listing.turnover * _SHARE / last
        amounts = np.random.default_rng(key).exponential(mean, (2, limit))
        sides = []
        for direction, side in zip((-1, 1), amounts, strict=True):
            prices = [float(round_to_step(last + direction * n * tick, tick)) for n in range(1, limit + 1)]
            held = [max(float(round_to_step(amount, float(listing.lot))), float(listing.lot)) for amount in side]
            sides.append([(price, amount) for price, amount in zip(prices, held, strict=True) if price > 0])
        return OrderBook(symbol, now, *sides)

    def fetch_mark_prices(self, symbols: Sequence[str]) -> dict[str, MarkPrice]:
        return {symbol: self._mark_price(symbol) for symbol in symbols}

    def _mark_price(self, symbol: str) -> MarkPrice:
        if not self._listing(symbol).max_leverage:
            raise GatewayError(f"{symbol} of the simulated exchange is no swap and has no mark price.", permanent=True)
        now = self.now_ms()
        due = now // FUNDING_MS * FUNDING_MS + FUNDING_MS
        last, index = self._ticker(symbol, now).last, self._ticker(LISTINGS[symbol].spot, now).last
        return MarkPrice(symbol, now, last, index, funding_rate(self.seed, symbol, due), due)
