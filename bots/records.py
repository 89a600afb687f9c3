"""From the engine's records to exact, worded rows: the same in the trades file of a backtest and in the database."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, TextIO, TypeVar

from bots.engine import types
from bots.engine.types import BUY, LIQUIDATION, ORDER_TYPES, Terms
from bots.kinds.contract import Kind
from bots.models import Event, Side, Trade
from markets.models import Market
from markets.precision import decimals, to_decimal

FEE_STEP = Decimal("1e-8")
DAY = 86_400_000  # ms
COLUMNS = ("time", "side", "price", "amount", "fee", "fee_currency", "tag")
ENGINE_NOTES = {
    types.REFUSED_AMOUNT: "Order not placed: its amount {value} is below the market's minimum.",
    types.REFUSED_COST: "Order not placed: its value {value} is below the market's minimum.",
    types.REFUSED_ALLOCATION: "Order not placed: it would spend {value} more than the bot's allocation has left.",
    types.REFUSED_POSITION: "Order not placed: it would sell {value} more than the bot holds.",
    types.REFUSED_MARGIN: "Order not placed: its margin is {value} more than the bot's equity.",
    types.REFUSED_MAX_POSITION: "Order not placed: the position would exceed its limit of {value}.",
    types.REFUSED_OPEN_ORDERS: "Order not placed: {value} open orders are the limit.",
    types.TOO_MANY_FILLS: "Stopped by the engine: more than {value} fills in one candle.",
    types.HELD_DAILY_LOSS: "Lost {value} since midnight UTC, the limit for a day: no entries until the next one.",
    types.HELD_AFTER_LOSS: "A trade lost: no entries for {value} s.",
    types.DRAWDOWN_HIT: "Equity fell {value} % from its peak, the limit: all orders withdrawn, the bot ends.",
    types.LIQUIDATED: "Liquidated at {price}: the exchange took the position of {value} and its margin.",
    types.RELEASED: "The pause is over: entries work again.",
}
# Code of the Event, where it is no plain decision.
NOTE_CODES = dict.fromkeys(ENGINE_NOTES, "refused") | {
    types.HELD_DAILY_LOSS: "held",
    types.HELD_AFTER_LOSS: "held",
    types.RELEASED: "released",
    types.DRAWDOWN_HIT: "drawdown",
    types.LIQUIDATED: "liquidated",
}
LIQUIDATED_TAG = "liquidation"


def terms_of(market: Market, slippage: float = 0.0) -> Terms:
    """A market's demands and costs as the engine takes them."""
    return Terms(
        tick=float(market.tick),
        lot=float(market.lot),
        min_amount=float(market.min_amount),
        min_cost=float(market.min_cost),
        maker=float(market.maker),
        taker=float(market.taker),
        slippage=slippage,
        fee_step=float(FEE_STEP),
        margin=market.type == "swap",
        maintenance=float(market.maintenance_rate),
    )


class Digits(NamedTuple):
    """The last decimal of a price and of an amount, as 0.01."""

    price: Decimal
    amount: Decimal


def digits_of(market: Market, terms: Mapping[str, Any]) -> Digits:
    """Digits that hold what an engine with these terms traded, to the last unit.

    An exchange may change tick and lot while a run goes on, which keeps those that it began with; what is executed
    there, live, comes in the new ones. So both must fit.
    """
    return Digits(_finest(market.tick, terms["tick"]), _finest(market.lot, terms["lot"]))


@lru_cache(maxsize=1024)
def _finest(*steps: Decimal | float) -> Decimal:
    return Decimal(1).scaleb(-max(decimals(Decimal(str(step))) for step in steps))


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class ExactTrade:
    """One trade in the market's own digits."""

    time: datetime
    sequence: int
    slot: int
    order_type: str
    limit: Decimal | None
    direction: int
    price: Decimal
    amount: Decimal
    fee: Decimal
    tag: str

    @property
    def side(self) -> str:
        return "buy" if self.direction == BUY else "sell"


def exact_trade(record: Any, kind: Kind, digits: Digits) -> ExactTrade:
    order_type = ORDER_TYPES[record["type"]]
    return ExactTrade(
        time=moment(record["time"]),
        sequence=int(record["sequence"]),
        slot=int(record["slot"]),
        order_type=order_type,
        limit=None if order_type == "market" else to_decimal(record["limit"], digits.price),
        direction=int(record["side"]),
        price=to_decimal(record["price"], digits.price),
        amount=to_decimal(record["amount"], digits.amount),
        fee=to_decimal(record["fee"], FEE_STEP),
        tag=LIQUIDATED_TAG if record["type"] == LIQUIDATION else kind.tags[record["tag"]],
    )


@dataclass(frozen=True, slots=True)
class ExactPayment:
    """Funding that a position paid (or received: negative), in the market's own digits."""

    time: datetime
    rate: float
    price: Decimal
    position: Decimal
    paid: Decimal


def exact_payment(record: Any, digits: Digits) -> ExactPayment:
    return ExactPayment(
        time=moment(record["time"]),
        rate=float(record["limit"]),
        price=to_decimal(record["price"], digits.price),
        position=int(record["side"]) * to_decimal(record["amount"], digits.amount),
        paid=to_decimal(record["fee"], FEE_STEP),
    )


A = TypeVar("A")
B = TypeVar("B")


def in_order(trades: Iterable[A], payments: Iterable[B]) -> list[A | B]:
    """Trades and payments as they came: funding is paid at the open of a candle, before it trades."""
    return sorted([*payments, *trades], key=attrgetter("time"))


def exact_order(record: Any, digits: Digits) -> tuple[Decimal | None, Decimal, Decimal]:
    """(price, amount, filled) of a wanted order; no price for market orders."""
    price = None if ORDER_TYPES[record["type"]] == "market" else to_decimal(record["price"], digits.price)
    return price, to_decimal(record["amount"], digits.amount), to_decimal(record["filled"], digits.amount)


# Level, code, message, data of an Event.
Told = tuple[str, str, str, dict[str, Any]]


def note_event(record: Any, kind: Kind) -> Told:
    """A decision of the engine or the kind in words, its figures filled in."""
    code = int(record["code"])
    text = ENGINE_NOTES.get(code) or kind.notes[code]
    figures = {"price": f"{record['price']:.10g}", "value": f"{record['value']:.10g}"}
    looked_at = code in kind.warnings or (code in ENGINE_NOTES and code != types.RELEASED)
    level = Event.Level.WARNING if looked_at else Event.Level.INFO
    if code == types.LIQUIDATED:
        level = Event.Level.ERROR
    return level, NOTE_CODES.get(code, "decision"), text.format(**figures), figures | _until(record)


def _until(record: Any) -> dict[str, int]:
    """When a hold ends, ms UTC; nothing for other notes."""
    time, code = int(record["time"]), int(record["code"])
    if code == types.HELD_DAILY_LOSS:
        return {"until": (time // DAY + 1) * DAY}
    return {"until": time + round(1000 * float(record["value"]))} if code == types.HELD_AFTER_LOSS else {}


def trade_event(row: Trade, trade: ExactTrade, kind: Kind, market: Market) -> Told:
    """A trade in words, with what it was for."""
    verb = "Bought" if row.side == Side.BUY else "Sold"
    text = f"{verb} {trade.amount:,f} {market.base} at {trade.price:,f} {market.quote}: {_reason(trade, kind)}."
    if row.realized:
        net = f"{row.realized - trade.fee:+,.2f}".replace("-", "−")
        text += f" Locked in {net} {market.quote} after a fee of {trade.fee:.4g}."
    return Event.Level.INFO, "trade", text, {"number": row.number, "tag": trade.tag}


def payment_event(payment: ExactPayment, market: Market) -> Told:
    """A payment of funding in words."""
    verb = "Paid" if payment.paid > 0 else "Received"
    held = "long" if payment.position > 0 else "short"
    text = (
        f"{verb} {_told(abs(payment.paid))} {market.quote} of funding, {100 * payment.rate:.6g} % on "
        f"{abs(payment.position).normalize():f} {market.base} held {held}."
    )
    return Event.Level.INFO, "funding", text, {}


def _told(money: Decimal) -> str:
    """To the cent; of less than one the four digits that tell it."""
    return f"{money:,.2f}" if money >= 1 else f"{money:.4g}"


def _reason(trade: ExactTrade, kind: Kind) -> str:
    return "liquidated, the margin was used up" if trade.tag == LIQUIDATED_TAG else kind.reasons[trade.tag]


def write_trades(file: TextIO, rows: Iterable[Any], market: Market) -> None:
    """Write trades (ExactTrade or Trade rows, oldest first) as CSV, in the market's digits."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    units = [Decimal(1).scaleb(-decimals(step)) for step in (market.tick, market.lot, FEE_STEP)]
    for row in rows:
        exact = zip((row.price, row.amount, row.fee), units, strict=True)
        figures = (f"{figure.quantize(unit):f}" for figure, unit in exact)
        writer.writerow([f"{row.time:%Y-%m-%dT%H:%M:%SZ}", row.side, *figures, market.quote, row.tag])
