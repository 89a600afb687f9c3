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
    """Latest price. time: ms UTC; change_24h: 0.05 is 5 %; quote_volume_24h: quote money; None where not told.

    bid, ask: the best ones of the order book, both or none.
    """

    symbol: str
    time: int
    last: float
    change_24h: float | None
    quote_volume_24h: float | None
    bid: float | None = None
    ask: float | None = None


class MarkPrice(NamedTuple):
    """What a swap is settled by. time, due (of the next funding): ms UTC; rate: as it stands; None where not told."""

    symbol: str
    time: int
    mark_price: float
    index_price: float | None
    rate: float | None
    due: int | None


class OrderBook(NamedTuple):
    """The best levels, best first. bids, asks: (price, amount in base); time: ms UTC."""

    symbol: str
    time: int
    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]


class Gateway(Protocol):
    """Every method raises GatewayError and nothing else when the exchange fails."""

    requests: int  # made so far

    def now_ms(self) -> int:
        """The exchange's clock, ms UTC, never ahead of it. It does not fail: unmeasured, it is this machine's clock."""

    def fetch_markets(self) -> list[MarketInfo]: ...

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[Row]:
        """Closed candles with open time >= since (ms UTC), oldest first, at most `limit`; timeframe in seconds.

        The first is the first that the exchange gives of those; an empty list says nothing about what is further on.
        """

    def fetch_tickers(self, symbols: Sequence[str]) -> dict[str, Ticker]: ...

    def fetch_funding_rates(self, symbol: str, since: int, limit: int) -> list[Rate]:
        """Rates of a swap that are settled, with time >= since (ms UTC), oldest first, at most `limit`."""

    def fetch_mark_prices(self, symbols: Sequence[str]) -> dict[str, MarkPrice]:
        """Of swaps, in one request where the exchange has one for it; those it does not list are left out."""

    def fetch_order_book(self, symbol: str, limit: int) -> OrderBook:
        """At most `limit` levels a side."""


class OrderRequest(NamedTuple):
    """An order as it is asked for.

    type: limit, market or stop (a market order once `price` is touched, a buy's from below); side: buy or sell; price:
    limit or trigger; amount: base; cost: quote money a market order is for, a buy's fee included, in the place of an
    amount, or 0; rank: which of several orders at one price goes first, where an exchange lets us say so;
    reduce_only: on a swap, no more than closes the position there is, whatever the amount says.
    """

    client_id: str
    type: str
    side: str
    price: Decimal | None
    amount: Decimal
    cost: Decimal = Decimal(0)
    rank: int = 0
    reduce_only: bool = False


class OrderInfo(NamedTuple):
    """An order as its exchange knows it. status: open, closed, canceled or rejected, for which reason says why."""

    client_id: str
    status: str
    amount: Decimal
    filled: Decimal
    reason: str = ""


class Execution(NamedTuple):
    """One execution of an order. id: ascending; time: ms UTC; fee: quote; left: base amount the order is still for."""

    id: int
    client_id: str
    time: int
    price: Decimal
    amount: Decimal
    fee: Decimal
    left: Decimal


class Alert(NamedTuple):
    """A price we want to be told of: side buy from below (at or above it), sell from above. rank: as of orders."""

    rank: int
    side: str
    price: float


class Watch(NamedTuple):
    """What we want to be told of, beside executions and the closes of candles.

    low, high: turns of the price at or beyond them; due: begins of candles from this open time on; until: open time of
    the last candle we may hear of; since: what is left of candles that opened before it went by unheard. ms UTC.
    """

    alerts: Sequence[Alert]
    low: float
    high: float
    due: int
    until: int
    since: int = 0


class Moment(NamedTuple):
    """What happened on a market, in its order.

    number: ascending, without holes; kind: opened (a candle begins, the price is still that before it), turned,
    touched (the alert of this rank), executed, ended (an order was taken off the book, see `order`), liquidated (the
    exchange closed the position and ended every order), funded (funding settled, with a position or without) or closed;
    time: open time of the candle, ms UTC; price: where the market is, of funding the candle's open; quiet: of a close,
    when nothing was told since the one before; executions: those of now, perhaps earlier ones too; rate and paid: of
    funding, paid in quote, negative when received.
    """

    number: int
    kind: str
    time: int
    price: float
    rank: int = -1
    quiet: bool = False
    executions: Sequence[Execution] = ()
    order: OrderInfo | None = None
    rate: float = 0.0
    paid: Decimal = Decimal(0)


class Transfer(NamedTuple):
    """Money that was moved between an account and the margin of one market. reason: why nothing was moved, or ""."""

    client_id: str
    amount: Decimal
    reason: str = ""


class Trading(Protocol):
    """Orders on one market of an exchange, in ccxt's words. Every method raises GatewayError and nothing else."""

    def create_order(self, order: OrderRequest) -> OrderInfo:
        """Place an order. A client id that is known already changes nothing: the answer is about the first."""

    def cancel_order(self, client_id: str) -> OrderInfo | None:
        """Take an order off the book; None when the exchange does not know it."""

    def fetch_order(self, client_id: str) -> OrderInfo | None:
        """None when the exchange does not know it."""

    def fetch_open_orders(self) -> list[OrderInfo]: ...

    def fetch_my_trades(self, after: int) -> list[Execution]:
        """Executions with ids above `after`, oldest first."""

    def fetch_balance(self) -> dict[str, Decimal]:
        """Currency -> what the account holds, without what is margin of a swap."""

    def add_margin(self, client_id: str, amount: Decimal) -> Transfer:
        """Move quote money from the account to the margin of this swap; that is all its position can lose.

        A client id that is known already changes nothing: the answer is about the first.
        """

    def withdraw_margin(self, client_id: str) -> Transfer:
        """Move all margin of this swap back to the account, once there is no position; client_id as above."""

    def fetch_transfer(self, client_id: str) -> Transfer | None:
        """None when the exchange does not know it."""

    def go_on(self, after: int, watch: Watch) -> Moment | None:
        """What happened after moment number `after` (0: the first); None when nothing has yet.

        Asking again with the same number gives the same moment.
        """
