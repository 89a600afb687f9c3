"""From the engine's records to exact, worded rows: the same in the trades file of a backtest and in the database."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

from bots.engine.types import (
    BUY,
    ORDER_TYPES,
    REFUSED_ALLOCATION,
    REFUSED_AMOUNT,
    REFUSED_COST,
    REFUSED_POSITION,
    TOO_MANY_FILLS,
    Terms,
)
from bots.kinds.contract import Kind
from bots.models import Event, Side, Trade
from markets.models import Market
from markets.precision import decimals, to_decimal

FEE_STEP = Decimal("1e-8")
COLUMNS = ("time", "side", "price", "amount", "fee", "fee_currency", "tag")
ENGINE_NOTES = {
    REFUSED_AMOUNT: "Order not placed: its amount {value} is below the market's minimum.",
    REFUSED_COST: "Order not placed: its value {value} is below the market's minimum.",
    REFUSED_ALLOCATION: "Order not placed: it would spend {value} more than the bot's allocation has left.",
    REFUSED_POSITION: "Order not placed: it would sell {value} more than the bot holds.",
    TOO_MANY_FILLS: "Stopped by the engine: more than {value} fills in one candle.",
}


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
    )


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


def exact_trade(record: Any, kind: Kind, market: Market) -> ExactTrade:
    order_type = ORDER_TYPES[record["type"]]
    return ExactTrade(
        time=moment(record["time"]),
        sequence=int(record["sequence"]),
        slot=int(record["slot"]),
        order_type=order_type,
        limit=None if order_type == "market" else to_decimal(record["limit"], market.tick),
        direction=int(record["side"]),
        price=to_decimal(record["price"], market.tick),
        amount=to_decimal(record["amount"], market.lot),
        fee=to_decimal(record["fee"], FEE_STEP),
        tag=kind.tags[record["tag"]],
    )


def exact_order(record: Any, market: Market) -> tuple[Decimal | None, Decimal, Decimal]:
    """(price, amount, filled) of a wanted order; no price for market orders."""
    price = None if ORDER_TYPES[record["type"]] == "market" else to_decimal(record["price"], market.tick)
    return price, to_decimal(record["amount"], market.lot), to_decimal(record["filled"], market.lot)


# Level, code, message, data of an Event.
Told = tuple[str, str, str, dict[str, Any]]


def note_event(record: Any, kind: Kind) -> Told:
    """A decision of the engine or the kind in words, its figures filled in."""
    code = int(record["code"])
    text = ENGINE_NOTES.get(code) or kind.notes[code]
    figures = {"price": f"{record['price']:.10g}", "value": f"{record['value']:.10g}"}
    level = Event.Level.WARNING if code in ENGINE_NOTES or code in kind.warnings else Event.Level.INFO
    return level, "refused" if code in ENGINE_NOTES else "decision", text.format(**figures), figures


def trade_event(row: Trade, trade: ExactTrade, kind: Kind, market: Market) -> Told:
    """A trade in words, with what it was for."""
    verb = "Bought" if row.side == Side.BUY else "Sold"
    text = f"{verb} {trade.amount:f} {market.base} at {trade.price:f} {market.quote}: {kind.reasons[trade.tag]}."
    if row.realized:
        text += f" Locked in {row.realized:+.2f} {market.quote} before a fee of {trade.fee:.4g}."
    return Event.Level.INFO, "trade", text, {"number": row.number}


def write_trades(file: TextIO, rows: Iterable[Any], market: Market) -> None:
    """Write trades (ExactTrade or Trade rows, oldest first) as CSV, in the market's digits."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    units = [Decimal(1).scaleb(-decimals(step)) for step in (market.tick, market.lot, FEE_STEP)]
    for row in rows:
        exact = zip((row.price, row.amount, row.fee), units, strict=True)
        figures = (f"{figure.quantize(unit):f}" for figure, unit in exact)
        writer.writerow([f"{row.time:%Y-%m-%dT%H:%M:%SZ}", row.side, *figures, market.quote, row.tag])
