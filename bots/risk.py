"""What may be placed and filled, and what is refused and why. Pure, called by the engine in every mode."""

from __future__ import annotations

from typing import Any

from numba import njit

from bots.engine.types import (
    BUY,
    LIMIT,
    MARKET,
    REFUSED_ALLOCATION,
    REFUSED_AMOUNT,
    REFUSED_COST,
    REFUSED_POSITION,
    SELL,
    STOP,
    TRAIL,
)
from markets.precision import BELOW_MIN_COST, FINE, order_fault

# Room for float noise when sums of money are compared, as a fraction.
NOISE = 1e-9


@njit(cache=True)
def reserved(orders: Any, setup: Any, price: float, besides: int) -> float:
    """Quote money that the working buys would take, fees and slippage included, but for the slot `besides`."""
    total = 0.0
    for slot in range(len(orders)):
        order = orders[slot]
        if slot == besides or order["side"] != BUY or order["type"] not in (LIMIT, MARKET, STOP, TRAIL):
            continue
        total += spend(setup, order["type"], order["price"], order["amount"] - order["filled"], price)
    return total


@njit(cache=True)
def promised(orders: Any, besides: int) -> float:
    """Base amount that the resting sells would take, but for the slot `besides`. Stops are alternatives to them."""
    total = 0.0
    for slot in range(len(orders)):
        order = orders[slot]
        if slot != besides and order["side"] == SELL and order["type"] in (LIMIT, MARKET):
            total += order["amount"] - order["filled"]
    return total


@njit(cache=True)
def spend(setup: Any, kind_of_order: int, limit: float, amount: float, price: float) -> float:
    """Most quote money a buy takes: a limit order at its price, others at the last price or their trigger."""
    if kind_of_order == LIMIT:
        return float(amount * limit * (1.0 + max(setup["maker"], setup["taker"])))
    return float(amount * max(limit, price) * (1.0 + setup["slippage"]) * (1.0 + setup["taker"]))


@njit(cache=True)
def refusal(run: Any, orders: Any, setup: Any, slot: int) -> tuple[int, float]:
    """Why the order in a slot may not be placed: (code, figure); (0, 0) when it may.

    Spot: buys never reserve more than the cash, sells never more than the position.
    """
    order = orders[slot]
    amount = order["amount"]
    limit = order["price"] if order["type"] != MARKET else run["price"]
    fault = order_fault(amount, limit, setup["min_amount"], setup["min_cost"])
    if fault == BELOW_MIN_COST:
        return REFUSED_COST, amount * limit
    if fault != FINE:
        return REFUSED_AMOUNT, amount
    if order["side"] == BUY:
        needed = spend(setup, order["type"], order["price"], amount, run["price"])
        short = needed + reserved(orders, setup, run["price"], slot) - run["cash"]
        if short > NOISE * setup["allocation"]:
            return REFUSED_ALLOCATION, short
        return 0, 0.0
    # A stop is an alternative to the resting sells: whichever comes first takes the position.
    others = promised(orders, slot) if order["type"] in (LIMIT, MARKET) else 0.0
    short = amount + others - run["position"]
    if short > 0.5 * setup["lot"] and short > NOISE * amount:
        return REFUSED_POSITION, short
    return 0, 0.0
