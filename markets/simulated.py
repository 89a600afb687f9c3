"""A seeded, deterministic exchange with the gateway's surface: for the demo, the tests and the screenshots.

Every candle is a pure function of (seed, symbol, minute): a day is drawn by a counter-based generator keyed by symbol
and day, and bridged between the day's two anchors, which are a mean-reverting walk of their own. So any window, asked
for in any order and by any process, has the same bytes. Higher timeframes are the 1m candles resampled.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from markets.precision import round_to_step
from markets.series import TIMEFRAME_NAMES, Candles, Column, Row, open_time, resample
from markets.surface import GatewayError, MarketInfo, Rate, Ticker, usual_maintenance

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MINUTES = 1440
HISTORY_DAYS = 60
HEAD_START_DAYS = 30  # how far back the clock starts when it runs faster than real time
PAGE = 1000

_FIRST_DAY = 18_262  # 2020-01-01, the day the walk of the anchors starts
_DAYS = 20_000
_DAILY_PULL = 0.98  # what is left of a deviation a day later: prices wander, but do not run away
_VOLATILITY_MEMORY = 0.97  # the same, a minute later, for the logarithm of volatility: clusters of half an hour
_VOLATILITY_SPREAD = 0.6  # standard deviation of that logarithm
_TAIL = 4  # degrees of freedom of Student's t
_GAP_CHANCE = 0.15
FUNDING_MS = 8 * 3_600_000
_USUAL_FUNDING = 0.0001  # what most exchanges pay while nothing leans to one side
_FUNDING_SPREAD = 0.00015


class Listing(NamedTuple):
    """A market of the exchange. volatility and drift: of the logarithm of the price, a day; turnover: quote, a day.

    max_leverage: of a swap, 0 for spot. A swap's price is that of its spot market, candle by candle.
    """

    base: str
    price: float
    tick: str
    lot: str
    volatility: float
    drift: float
    maker: str
    turnover: float
    max_leverage: int = 0

    @property
    def spot(self) -> str:
        return f"{self.base}/USDT"

    @property
    def symbol(self) -> str:
        return f"{self.spot}:USDT" if self.max_leverage else self.spot


LISTINGS = {
    listing.symbol: listing
    for listing in (
        Listing("BTC", 64_000, "0.01", "0.00001", 0.030, 0.0004, "0.0002", 2.4e9),
        Listing("ETH", 3_200, "0.01", "0.0001", 0.038, 0.0003, "0.0002", 1.3e9),
        Listing("SOL", 148, "0.01", "0.001", 0.060, 0.0006, "0.0004", 5.2e8),
        Listing("BNB", 575, "0.1", "0.001", 0.032, 0.0002, "0.0004", 2.1e8),
        Listing("XRP", 0.58, "0.0001", "1", 0.045, 0.0, "0.0005", 3.4e8),
        Listing("DOGE", 0.124, "0.00001", "1", 0.070, 0.0005, "0.0005", 3.1e8),
        Listing("ADA", 0.43, "0.0001", "0.1", 0.052, -0.0002, "0.0008", 1.1e8),
        Listing("AVAX", 27.4, "0.01", "0.01", 0.060, -0.0001, "0.0008", 8.6e7),
        Listing("LINK", 13.9, "0.001", "0.01", 0.052, 0.0002, "0.0008", 7.5e7),
        Listing("DOT", 5.9, "0.001", "0.01", 0.048, -0.0003, "0.0008", 5.0e7),
        Listing("LTC", 71.5, "0.01", "0.001", 0.040, 0.0, "0.0008", 6.6e7),
        Listing("BCH", 355, "0.1", "0.001", 0.047, 0.0001, "0.0008", 4.4e7),
        Listing("UNI", 7.6, "0.001", "0.01", 0.058, 0.0001, "0.001", 3.6e7),
        Listing("ATOM", 5.1, "0.001", "0.01", 0.048, -0.0004, "0.001", 2.2e7),
        Listing("NEAR", 4.7, "0.001", "0.1", 0.065, 0.0003, "0.001", 5.8e7),
        Listing("APT", 7.2, "0.01", "0.01", 0.062, -0.0001, "0.001", 3.9e7),
        Listing("ARB", 0.71, "0.0001", "0.1", 0.062, -0.0005, "0.001", 4.1e7),
        Listing("SUI", 1.05, "0.0001", "0.1", 0.075, 0.0008, "0.001", 9.3e7),
        Listing("FIL", 4.2, "0.001", "0.01", 0.052, -0.0003, "0.001", 2.0e7),
        Listing("PEPE", 0.0000098, "0.000000001", "1000", 0.085, 0.0006, "0.001", 2.6e8),
        Listing("BTC", 64_000, "0.01", "0.00001", 0.030, 0.0004, "0.0002", 9.1e9, 100),
        Listing("ETH", 3_200, "0.01", "0.0001", 0.038, 0.0003, "0.0002", 5.8e9, 100),
        Listing("SOL", 148, "0.01", "0.001", 0.060, 0.0006, "0.0002", 2.2e9, 50),
        Listing("XRP", 0.58, "0.0001", "1", 0.045, 0.0, "0.0002", 1.1e9, 50),
    )
}


def real_ms() -> int:
    return time.time_ns() // 1_000_000


def new_config(seed: int = 42) -> dict[str, Any]:
    """ccxt_config of a new simulated exchange: its seed and the real moment, ms UTC, from which its clock counts."""
    return {"seed": seed, "anchor_ms": real_ms()}


@njit(cache=True)
def _decaying(noise: Column, memory: float) -> Column:
    """x[i] = memory · x[i-1] + noise[i], from x[-1] = 0."""
    result = np.empty_like(noise)
    x = 0.0
    for i in range(noise.size):
        x = memory * x + noise[i]
        result[i] = x
    return result


@njit(cache=True)
def _rounded(values: Column, step: float) -> Column:
    """Each value at its multiple of step, at least one step."""
    result = np.empty_like(values)
    for i in range(values.size):
        result[i] = max(round_to_step(values[i], step), step)
    return result


def _random(seed: int, symbol: str, day: int) -> np.random.Generator:
    stream = (zlib.crc32(symbol.encode()) << 32) | day
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64)))


@lru_cache(maxsize=64)
def _anchors(seed: int, symbol: str) -> Column:
    """Logarithm of the price at the start of each day since _FIRST_DAY."""
    listing = LISTINGS[symbol]
    noise = listing.drift + listing.volatility * _random(seed, symbol, 0).standard_normal(_DAYS)
    walk: Column = np.log(listing.price) + _decaying(noise, _DAILY_PULL)
    return walk


def _activity(random: np.random.Generator) -> Column:
    """How lively each minute of a day is, around 1."""
    fresh = _VOLATILITY_SPREAD * np.sqrt(1 - _VOLATILITY_MEMORY**2)
    activity: Column = np.exp(_decaying(fresh * random.standard_normal(MINUTES), _VOLATILITY_MEMORY))
    return activity


@lru_cache(maxsize=128)
def day_candles(seed: int, symbol: str, day: int) -> Candles:
    """The 1,440 one-minute candles of a day, counted from 1970-01-01."""
    listing = LISTINGS[symbol]
    random = _random(seed, listing.spot, day)
    start, end = _anchors(seed, listing.spot)[day - _FIRST_DAY : day - _FIRST_DAY + 2]
    activity = _activity(random)
    deviation = listing.volatility * activity / np.sqrt(np.sum(activity**2))
    shocks = deviation * np.clip(random.standard_t(_TAIL, MINUTES), -12, 12) * np.sqrt((_TAIL - 2) / _TAIL)
    path = np.cumsum(shocks)
    # The miss at the end of the day is spread over it, more where there is more movement to hide it.
    share = np.cumsum(deviation**2) / np.sum(deviation**2)
    close = start + path + (end - start - path[-1]) * share
    gap = deviation * random.standard_normal(MINUTES) * (random.random(MINUTES) < _GAP_CHANCE)
    open_ = np.concatenate([[start], close[:-1]]) + gap
    wicks = 0.5 * deviation * np.abs(random.standard_normal((2, MINUTES)))
    high, low = np.maximum(open_, close) + wicks[0], np.minimum(open_, close) - wicks[1]
    crowd = activity * (1 + np.abs(shocks) / deviation) * random.gamma(3.0, 1 / 3.0, MINUTES)
    volume = listing.turnover / MINUTES * crowd / np.mean(crowd) / np.exp(close)
    tick, lot = float(listing.tick), float(listing.lot)
    open_, high, low, close = (_rounded(np.exp(column), tick) for column in (open_, high, low, close))
    times = day * DAY_MS + np.arange(MINUTES, dtype=np.int64) * MINUTE_MS
    return Candles(times, open_, high, low, close, _rounded(volume, lot))


def funding_rate(seed: int, symbol: str, time: int) -> float:
    """The rate that is due at a time, ms UTC: around the usual one, to the sixth decimal, negative now and then."""
    noise = _random(seed, symbol, time // FUNDING_MS).standard_normal()
    return round(_USUAL_FUNDING + _FUNDING_SPREAD * float(noise), 6)


class SimulatedExchange:
    """anchor: real moment (ms UTC) from which a clock faster than real time counts; real_clock: ms UTC."""

    def __init__(self, seed: int, anchor: int, speed: float = 1.0, real_clock: Callable[[], int] = real_ms) -> None:
        self.seed = seed % 2**64
        self.anchor = anchor
        self.speed = speed
        self.real_clock = real_clock

    def now_ms(self) -> int:
        """Real time; above speed 1 it starts 30 days before the anchor and runs until it meets the present."""
        real = self.real_clock()
        if self.speed <= 1:
            return real
        simulated = self.anchor - HEAD_START_DAYS * DAY_MS + int((real - self.anchor) * self.speed)
        return min(simulated, real)

    def fetch_markets(self) -> list[MarketInfo]:
        return [_market_info(listing) for listing in LISTINGS.values()]

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int = PAGE) -> list[Row]:
        """Closed candles from `since` on, at most min(limit, 1000); none older than 60 days. See surface.Gateway."""
        self._listing(symbol)
        if timeframe not in TIMEFRAME_NAMES:
            raise GatewayError(f"The simulated exchange has no candles of {timeframe} seconds.", permanent=True)
        now, step = self.now_ms(), timeframe * 1000
        first = max(since, now - HISTORY_DAYS * DAY_MS)
        first = -(-first // step) * step
        last = min(open_time(now, timeframe), first + min(limit, PAGE) * step)
        return self._candles(symbol, timeframe, first, last).rows()

    def fetch_tickers(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        now = self.now_ms()
        return {symbol: self._ticker(symbol, now) for symbol in symbols}

    def fetch_funding_rates(self, symbol: str, since: int, limit: int = PAGE) -> list[Rate]:
        """Rates of a swap, every 8 hours, up to now; none older than 60 days. See surface.Gateway."""
        if not self._listing(symbol).max_leverage:
            raise GatewayError(f"{symbol} of the simulated exchange is no swap and has no funding.", permanent=True)
        now = self.now_ms()
        first = -(-max(since, now - HISTORY_DAYS * DAY_MS) // FUNDING_MS) * FUNDING_MS
        last = min(now // FUNDING_MS * FUNDING_MS, first + (min(limit, PAGE) - 1) * FUNDING_MS)
        return [Rate(time, funding_rate(self.seed, symbol, time)) for time in range(first, last + 1, FUNDING_MS)]

    def _listing(self, symbol: str) -> Listing:
        try:
            return LISTINGS[symbol]
        except KeyError:
            raise GatewayError(f"The simulated exchange has no market {symbol}.", permanent=True) from None

    def _candles(self, symbol: str, timeframe: int, first: int, last: int) -> Candles:
        """Candles with open time in [first, last): both open times."""
        days = range(first // DAY_MS, -(-last // DAY_MS))
        parts = [resample(day_candles(self.seed, symbol, day), 60, timeframe) for day in days]
        candles = Candles.joined(parts)
        begin, end = np.searchsorted(candles.time, [first, last])
        return candles[int(begin) : int(end)]

    def _ticker(self, symbol: str, now: int) -> Ticker:
        tick = float(self._listing(symbol).tick)
        minute = open_time(now, 60)
        window = self._candles(symbol, 60, minute - DAY_MS, minute + MINUTE_MS)
        last = float(round_to_step(_inside(window.row(len(window) - 1), (now - minute) / MINUTE_MS), tick))
        closed = window[:-1]
        turnover = float(np.dot(closed.close, closed.volume))
        bid, ask = (float(round_to_step(last + step, tick)) for step in (-tick, tick))
        sides = (bid, ask) if bid > 0 else (None, None)
        return Ticker(symbol, now, last, last / float(closed.open[0]) - 1, turnover, *sides)


def _inside(candle: Row, part: float) -> float:
    """Price when `part` (0 to 1) of the candle is over, on the path a backtest assumes inside it."""
    _, open_, high, low, close, _ = candle
    corners = [open_, low, high, close] if close >= open_ else [open_, high, low, close]
    lengths = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(corners)))])
    return float(np.interp(part * lengths[-1], lengths, corners)) if lengths[-1] else close


def _market_info(listing: Listing) -> MarketInfo:
    maker, lot = Decimal(listing.maker), Decimal(listing.lot)
    taker = max(maker * 2, Decimal("0.0005"))
    leverage = Decimal(listing.max_leverage or 1)
    return MarketInfo(
        symbol=listing.symbol,
        base=listing.base,
        quote="USDT",
        type="swap" if listing.max_leverage else "spot",
        tick=Decimal(listing.tick),
        lot=lot,
        min_amount=lot,
        min_cost=Decimal(5),
        maker=maker,
        taker=taker,
        active=True,
        max_leverage=leverage,
        maintenance_rate=usual_maintenance(leverage) if listing.max_leverage else Decimal(0),
    )
