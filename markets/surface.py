"""What every exchange looks like from here, simulated or real: the gateway's surface and the shapes it speaks in."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from markets.series import Row


class GatewayError(Exception):
    """An exchange did not do what was asked. The message is a sentence; permanent: asking again will not help."""

    def __init__(self, message: str, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class MarketInfo(NamedTuple):
    """A market as its exchange lists it; the fields are those of models.Market."""

    symbol: str
    base: str
    quote: str
    type: str
    tick: Decimal
    lot: Decimal
    min_amount: Decimal
    min_cost: Decimal
    maker: Decimal
    taker: Decimal
    active: bool


class Ticker(NamedTuple):
    """Latest price. time: ms UTC; change_24h: 0.05 is 5 %; quote_volume_24h: quote money; None where not told."""

    symbol: str
    time: int
    last: float
    change_24h: float | None
    quote_volume_24h: float | None


class Gateway(Protocol):
    """Every method raises GatewayError and nothing else when the exchange fails."""

    def now_ms(self) -> int:
        """The exchange's clock, ms UTC."""

    def fetch_markets(self) -> list[MarketInfo]: ...

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[Row]:
        """Closed candles with open time >= since (ms UTC), oldest first, at most `limit`; timeframe in seconds."""

    def fetch_tickers(self, symbols: Sequence[str]) -> dict[str, Ticker]: ...
