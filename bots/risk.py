"""What may be placed and filled, and what is refused and why. Pure, called by the engine in every mode."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined
from bots.engine.types import (
    ALARM,
    BUY,
    LIMIT,
    LIQUIDATION,
    MARKET,
    NONE,
    REFUSED_ALLOCATION,
    REFUSED_AMOUNT,
    REFUSED_COST,
    REFUSED_MARGIN,
    REFUSED_MAX_POSITION,
    REFUSED_OPEN_ORDERS,
    REFUSED_POSITION,
    SELL,
)
from markets.precision import BELOW_MIN_COST, FINE, floor_to_step, order_fault

# Room for float noise when sums of money are compared, as a fraction.
NOISE = 1e-9


@inlined
def trades_something(order: Any) -> bool:
    """True for an order that is wanted, working or held; not for alarms and the exchange's own."""
    return bool(order["type"] != NONE and order["type"] != ALARM and order["type"] != LIQUIDATION)


@inlined
def is_entry(run: Any, order: Any) -> bool:
    """True for an order that adds to the position, or opens one."""
    return trades_something(order) and bool(order["side"] * run["position"] >= 0.0)


@inlined
def amount_for(setup: Any, side: int, cost: float, price: float) -> float:
    """Base amount that so much quote money trades at a price, a buy's fee included, down to the lot."""
    fee = setup["taker"] if side == BUY else 0.0
    return float(floor_to_step(cost / (price * (1.0 + fee)), setup["lot"]))


@inlined
def spend(setup: Any, order: Any, price: float) -> float:
    """Most quote money a buy takes: a limit order at its price, others at the last price or their trigger."""
    amount = order["amount"] - order["filled"]
    if abs(order["type"]) == LIMIT:
        return float(amount * order["price"] * (1.0 + max(setup["maker"], setup["taker"])))
    if order["cost"] > 0.0:
        return float(order["cost"])
    return float(amount * max(order["price"], price) * (1.0 + setup["slippage"]) * (1.0 + setup["taker"]))


@inlined
def reserved(orders: Any, setup: Any, price: float, besides: int) -> float:
    """Quote money that the wanted buys would take, fees and slippage included, but for the slot `besides`."""
    total = 0.0
    for slot in range(len(orders)):
        order = orders[slot]
        if slot != besides and order["side"] == BUY and trades_something(order):
            total += spend(setup, order, price)
    return total


@inlined
def promised(orders: Any, besides: int) -> float:
    """Base amount that the resting sells would take, but for the slot `besides`. Stops are alternatives to them."""
    total = 0.0
    for slot in range(len(orders)):
        order = orders[slot]
        if slot != besides and order["side"] == SELL and abs(order["type"]) in (LIMIT, MARKET):
            total += order["amount"] - order["filled"]
    return total


@inlined
def refusal(run: Any, orders: Any, setup: Any, slot: int) -> tuple[int, float]:
    """Why the order in a slot may not be placed: (code, figure); (0, 0) when it may."""
    order = orders[slot]
    amount = order["amount"]
    limit = order["price"] if order["type"] != MARKET else run["price"]
    fault = order_fault(amount, limit, setup["min_amount"], setup["min_cost"])
    if fault == BELOW_MIN_COST:
        return REFUSED_COST, amount * limit
    if fault != FINE:
        return REFUSED_AMOUNT, amount
    code, value = limit_refusal(run, orders, setup, slot, limit)
    if code != 0:
        return code, value
    if setup["leverage"] > 0.0:
        return margin_refusal(run, orders, setup, slot)
    return spot_refusal(run, orders, setup, slot)


@inlined
def spot_refusal(run: Any, orders: Any, setup: Any, slot: int) -> tuple[int, float]:
    """Buys never reserve more than the cash, sells never more than the position."""
    order = orders[slot]
    amount = order["amount"]
    if order["side"] == BUY:
        short = spend(setup, order, run["price"]) + reserved(orders, setup, run["price"], slot) - run["cash"]
        if short > NOISE * setup["allocation"]:
            return REFUSED_ALLOCATION, short
        return 0, 0.0
    # A stop is an alternative to the resting sells: whichever comes first takes the position.
    others = promised(orders, slot) if order["type"] in (LIMIT, MARKET) else 0.0
    short = amount + others - run["position"]
    if short > 0.5 * setup["lot"] and short > NOISE * amount:
        return REFUSED_POSITION, short
    return 0, 0.0


@inlined
def margin_refusal(run: Any, orders: Any, setup: Any, slot: int) -> tuple[int, float]:
    """Initial margin of the position and all orders that add to it on the order's side never exceeds the equity.

    An order that only reduces the position needs none. Margin of a position is its value over the leverage.
    """
    order = orders[slot]
    side, position, price = order["side"], run["position"], run["price"]
    if side * position < 0.0 and order["amount"] <= abs(position) * (1.0 + NOISE):
        return 0, 0.0
    value = side * position * price
    for other in range(len(orders)):
        one = orders[other]
        pending = abs(one["type"]) in (LIMIT, MARKET) or is_entry(run, one)
        if one["side"] == side and pending and trades_something(one):
            limit = one["price"] if abs(one["type"]) != MARKET else price
            # Entering costs a fee, and a market order may slip.
            value += (one["amount"] - one["filled"]) * limit * (1.0 + setup["leverage"] * setup["taker"])
    short = value / setup["leverage"] - (run["cash"] + position * price)
    if short > NOISE * setup["allocation"]:
        return REFUSED_MARGIN, short
    return 0, 0.0


@inlined
def limit_refusal(run: Any, orders: Any, setup: Any, slot: int, price: float) -> tuple[int, float]:
    """The limits that a person set: on the value of the position with all its entries, on the number of orders."""
    most, order = setup["max_open_orders"], orders[slot]
    if most > 0.0:
        count = 0
        for other in range(len(orders)):
            count += trades_something(orders[other])
        # Whatever the limit, what closes the position may be placed.
        if count > most and is_entry(run, order):
            return REFUSED_OPEN_ORDERS, most
    limit = setup["max_position"]
    if limit > 0.0 and is_entry(run, order):
        amount = abs(run["position"])
        for other in range(len(orders)):
            if orders[other]["side"] == order["side"] and is_entry(run, orders[other]):
                amount += orders[other]["amount"] - orders[other]["filled"]
        if amount * price > limit * (1.0 + NOISE):
            return REFUSED_MAX_POSITION, limit
    return 0, 0.0


@inlined
def fill_refusal(
    run: Any, setup: Any, order_type: int, side: int, price: float, amount: float, fee: float
) -> tuple[int, float]:
    """Why an order cannot be filled at a price: (code, figure); (0, 0) when it can.

    An exchange holds the margin of a resting order back, so on margin a limit order is always filled.
    """
    if not amount > 0.0:
        return REFUSED_AMOUNT, amount
    position, room = run["position"], NOISE * setup["allocation"]
    if setup["leverage"] == 0.0:
        short = price * amount + fee - run["cash"]
        if side == BUY and short > room:
            return REFUSED_ALLOCATION, short
        if side == SELL and amount > position + 0.5 * setup["lot"] + NOISE * amount:
            return REFUSED_POSITION, amount - position
        return 0, 0.0
    if order_type == LIMIT or (side * position < 0.0 and amount <= abs(position) * (1.0 + NOISE)):
        return 0, 0.0
    short = abs(position + side * amount) * price / setup["leverage"] + fee - (run["cash"] + position * price)
    if short > room:
        return REFUSED_MARGIN, short
    return 0, 0.0
