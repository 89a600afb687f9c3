"""The one ledger: what a fill does to cash, position, cost and realized profit, at average cost."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.types import BUY, FUNDING, SELL
from markets.precision import round_to_step


@inlined
def apply(run: Any, side: int, price: float, amount: float, fee: float, lot: float) -> float:
    """Book one fill; returns the profit it locked in, before its fee.

    Average cost: a fill in the position's direction adds price * amount to its cost; one against it takes the
    average cost of the part it closes out of the cost and realizes the difference. What goes beyond the position
    opens one on the other side.
    """
    position = run["position"]
    realized = 0.0
    if position * side >= 0.0:
        run["cost"] += price * amount
    else:
        size = abs(position)
        closing = min(amount, size)
        average = run["cost"] / size
        realized = closing * (average - price) * side
        run["cost"] = (size - closing) * average + (amount - closing) * price
    run["position"] = round_to_step(position + side * amount, lot)
    run["cash"] -= side * price * amount + fee
    run["realized"] += realized
    run["fees"] += fee
    return realized


@inlined
def equity(run: Any, price: float) -> float:
    """Cash plus the position at a price, in quote."""
    return float(run["cash"] + run["position"] * price)


@kernel
def pay(run: Any, trades: Any, price: float, rate: float, fee_step: float) -> None:
    """Pay (or receive) funding on the position: its value at a price times the rate; longs pay a positive rate."""
    book_payment(run, trades, price, rate, round_to_step(run["position"] * price * rate, fee_step))


@inlined
def book_payment(run: Any, trades: Any, price: float, rate: float, paid: float) -> None:
    """Book funding that was paid (received: negative), whoever computed it.

    It is recorded beside the trades: the amount is the position's, the fee what was paid.
    """
    position = run["position"]
    run["cash"] -= paid
    run["funding"] += paid
    payment = trades[run["trades"]]
    payment["time"] = run["time"]
    payment["slot"] = -1
    payment["sequence"] = 0
    payment["type"] = FUNDING
    payment["side"] = BUY if position > 0.0 else SELL
    payment["tag"] = 0
    payment["limit"] = rate
    payment["price"] = price
    payment["amount"] = abs(position)
    payment["fee"] = paid
    payment["realized"] = 0.0
    run["trades"] += 1
