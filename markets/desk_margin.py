"""What holds on margin at the simulated exchange: initial margin, funding, and where it takes a position over.

Margin is isolated: `cash` is what the position was given, less what it cost; `position` is base, negative when short.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from markets.desk_orders import Conditions, Liquidation, Resting
from markets.precision import ceil_to_step, floor_to_step, round_to_step, to_decimal

FEE_STEP: Final = 1e-8
FEE_UNIT: Final = Decimal("1e-8")
# Of sums of money that are compared, a fraction.
NOISE: Final = Decimal("1e-9")

Held = tuple[Decimal, Decimal]  # cash, position


def liquidation(terms: Conditions, cash: Decimal, position: Decimal) -> Liquidation | None:
    """Where cash + position × price is the maintenance margin; nowhere for a long that is paid for in full."""
    if not terms.leverage or not position:
        return None
    held = float(position)
    price = float(cash) / (-held + abs(held) * terms.maintenance)
    return Liquidation("sell" if position > 0 else "buy", price) if price > 0 else None


def takeover(terms: Conditions, price: float, cash: Decimal, position: Decimal) -> tuple[Decimal, Decimal]:
    """(price at which a position is taken over, what is left of its margin: the fee).

    Beyond the price at which nothing is left the loss is the exchange's own.
    """
    tick, bankrupt = float(terms.tick), float(-cash / position)
    closing = ceil_to_step(max(price, bankrupt), tick) if position > 0 else floor_to_step(min(price, bankrupt), tick)
    at = to_decimal(float(closing), terms.tick)
    return at, max((cash + position * at).quantize(FEE_UNIT, rounding=ROUND_FLOOR), Decimal(0))


def funding(position: Decimal, price: float, rate: float) -> Decimal:
    """What a position pays, negative when it receives: its value at a price times the rate, to the fee's step."""
    return to_decimal(float(round_to_step(float(position) * price * rate, FEE_STEP)), FEE_UNIT) + 0


def reducible(side: str, position: Decimal) -> float:
    """How much of a position an order of a side closes at most, base."""
    return max(float(-position if side == "buy" else position), 0.0)


def reduces(order: Resting, position: Decimal) -> bool:
    """True for an order that does nothing but close the position, or a part of it."""
    return order.direction * position < 0 and order.amount <= abs(float(position)) * (1.0 + float(NOISE))


def entry_refusal(terms: Conditions, order: Resting, on_book: Iterable[Resting], price: float, holdings: Held) -> str:
    """Why an order may not be placed on margin, or "".

    No more leverage than the market allows; and the position together with all entries that wait on the order's side
    needs no more initial margin than its equity.
    """
    cash, position = holdings
    if reduces(order, position):
        return ""
    if terms.leverage > terms.max_leverage:
        return f"its leverage {terms.leverage:.10g} is above the {terms.max_leverage:.10g} that this market allows"
    side, held = order.direction, float(position)
    waiting = [one for one in on_book if one.status == "open" and one.direction == side]
    entries = [one for one in waiting if one.request.type != "stop" or side * held >= 0.0]
    value = side * held * price + sum((one.amount - one.filled) * (one.price or price) for one in [*entries, order])
    need, has = value / terms.leverage, float(cash) + held * price
    if need - has <= float(NOISE) * max(abs(need), abs(has), abs(float(cash))):
        return ""
    return f"it needs {need:.10g} {terms.quote} of margin with what is open, and the margin is {has:.10g}"


def shortage(terms: Conditions, order: Resting, price: Decimal, amount: Decimal, fee: Decimal, holdings: Held) -> str:
    """Why an order cannot be filled on margin, or ""; the margin of one that waited on the book is held back."""
    cash, position = holdings
    after = abs(position + order.direction * amount)
    if order.request.type == "limit" or (after <= abs(position) and order.direction * position < 0):
        return ""
    need, has = after * price / Decimal(terms.leverage) + fee, cash + position * price
    short = need > has * (1 + NOISE)
    return f"it needs {need:f} {terms.quote} of margin, and the account holds {has:f}" if short else ""
