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
    max_leverage: Decimal = Decimal(1)
    maintenance_rate: Decimal = Decimal(0)


class Rate(NamedTuple):
    """One funding rate of a swap. time: when it is due, ms UTC; rate: fraction of the position's value, longs pay."""

    time: int
    rate: float


# What a swap may be traded with where its exchange does not say: all large exchanges allow as much on liquid ones.
USUAL_LEVERAGE = Decimal(20)


def usual_maintenance(max_leverage: Decimal) -> Decimal:
    """Maintenance margin where an exchange does not say: half of the initial margin at the highest leverage.

    So it is in the first bracket of the large exchanges (125: 0.4 %, 100: 0.5 %, 50: 1 %).
    """
    return (1 / (2 * max_leverage)).quantize(Decimal("1e-6"))


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

    def fetch_funding_rates(self, symbol: str, since: int, limit: int) -> list[Rate]:
        """Rates of a swap that are settled, with time >= since (ms UTC), oldest first, at most `limit`."""
