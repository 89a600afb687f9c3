"""Who fills when: a bar is a path of prices, and orders fill in the order in which the path touches them.

The path: from the previous close to the open (a gap), then open, low, high, close when the bar closes at or above its
open, else open, high, low, close. A limit order fills at its price, at the open when the bar opens through it; market
and stop orders at the price they see, plus slippage. An order that a fill places may fill later in the same bar.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bots.engine.kernel import inlined, kernel
from bots.engine.ledger import apply
from bots.engine.orders import cancel_all, note
from bots.engine.protection import after_fill, liquidate
from bots.engine.types import ALARM, BUY, FAILED, LIMIT, LIQUIDATION, MARKET, NONE, SELL, TOO_MANY_FILLS
from bots.risk import amount_for, fill_refusal
from markets.precision import ceil_to_step, round_to_step


@kernel
def most_fills(slots: int) -> int:
    """Bound of what may happen in one bar; beyond it the kind is taken to run in circles."""
    return 1024 + 8 * slots


@inlined
def falls_to(order: Any) -> bool:
    """True for an order that a falling price touches: limit buys, stop sells, lower alarms."""
    if order["type"] == LIMIT:
        return bool(order["side"] == BUY)
    return bool(order["side"] == SELL)


@inlined
def executable(order: Any, price: float) -> bool:
    """True when an order acts at this very price."""
    if order["type"] <= NONE:
        return False
    if order["type"] == MARKET:
        return True
    return bool(price <= order["price"] if falls_to(order) else price >= order["price"])


@inlined
def first_executable(orders: Any, price: float, since: float) -> int:
    """Slot that acts at `price` when it was reached from `since`; -1 for none.

    Market orders first, then as the path met them; among equals the lowest slot. An exchange that takes the position
    over waits for nobody: behind a gap a stop would sell what is worth less than nothing.
    """
    found = -1
    nearest = np.inf
    for slot in range(len(orders)):
        order = orders[slot]
        if executable(order, price):
            if order["type"] == LIQUIDATION:
                return slot
            distance = -1.0 if order["type"] == MARKET else abs(order["price"] - since)
            if distance < nearest:
                nearest = distance
                found = slot
    return found


@inlined
def next_touched(orders: Any, price: float, target: float) -> int:
    """Slot whose price is touched first on the way from `price` (excluded) to `target` (included); -1 for none."""
    found = -1
    falling = target < price
    nearest = np.inf
    for slot in range(len(orders)):
        order = orders[slot]
        if order["type"] <= NONE or order["type"] == MARKET or falls_to(order) != falling:
            continue
        at = order["price"]
        touched = target <= at < price if falling else price < at <= target
        if touched and abs(at - price) < nearest:
            nearest = abs(at - price)
            found = slot
    return found


@inlined
def fee_of(order: Any, setup: Any, cost: float) -> float:
    """Fee in quote, rounded up: maker for a limit order that had to wait, taker for what crossed when placed."""
    waited = order["type"] == LIMIT and not executable(order, order["placed"])
    return float(ceil_to_step(cost * (setup["maker"] if waited else setup["taker"]), setup["fee_step"]))


@inlined
def fill(run: Any, orders: Any, setup: Any, notes: Any, trades: Any, slot: int) -> bool:
    """Execute an order at run["price"] and record the trade; False when the money or the position is not there."""
    order = orders[slot]
    side = order["side"]
    price = run["price"]
    if order["type"] != LIMIT:
        price *= 1.0 + side * setup["slippage"]
    # A trigger may lie between two ticks. Nothing is had for nothing, however coarse the tick.
    price = max(round_to_step(price, setup["tick"]), setup["tick"])
    amount = order["amount"] - order["filled"]
    if order["cost"] > 0.0:
        amount = amount_for(setup, side, order["cost"], price)
    fee = fee_of(order, setup, price * amount)
    order_type = order["type"]
    order["type"] = NONE
    code, value = fill_refusal(run, setup, order_type, side, price, amount, fee)
    if code != 0:
        note(run, notes, code, slot, value)
        return False
    trade = trades[run["trades"]]
    trade["type"] = order_type
    trade["limit"] = order["price"]
    describe(run, order, trade, slot)
    trade["price"] = price
    trade["amount"] = amount
    trade["fee"] = fee
    trade["realized"] = apply(run, side, price, amount, fee, setup["lot"])
    run["trades"] += 1
    run["fills"] += 1
    return True


@inlined
def describe(run: Any, order: Any, trade: Any, slot: int) -> None:
    """Copy what identifies an order into the record the kind is told about."""
    trade["time"] = run["time"]
    trade["slot"] = slot
    trade["sequence"] = order["sequence"]
    trade["side"] = order["side"]
    trade["tag"] = order["tag"]


@kernel
def act(on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, slot: int) -> None:
    """Let the order in a slot do what it is for at run["price"], then let the kind react."""
    if orders[slot]["type"] == ALARM:
        ring = trades[run["trades"]]  # scratch: the count does not move
        describe(run, orders[slot], ring, slot)
        ring["type"] = ALARM
        ring["limit"] = ring["price"] = orders[slot]["price"]
        ring["amount"] = ring["fee"] = ring["realized"] = 0.0
        orders[slot]["type"] = NONE
        on_fill(run, orders, setup, params, notes, ring)
    elif orders[slot]["type"] == LIQUIDATION:
        liquidate(run, orders, setup, notes, trades, slot)
    elif fill(run, orders, setup, notes, trades, slot):
        after_fill(run, orders, setup, notes, trades[run["trades"] - 1])
        on_fill(run, orders, setup, params, notes, trades[run["trades"] - 1])


@inlined
def asleep(run: Any, price: float) -> bool:
    """True when nothing acts at a price or on the way to it, nor follows it: watch() was asked after all that did."""
    return bool(run["wake_low"] < price < run["wake_high"])


@inlined
def settle(
    on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, since: float, left: int
) -> int:
    """Everything that acts at run["price"], reached from `since`; returns how many actions are left of the bound."""
    while left > 0 and not asleep(run, run["price"]):
        slot = first_executable(orders, run["price"], since)
        if slot < 0:
            break
        act(on_fill, run, orders, setup, params, notes, trades, slot)
        watch(run, orders)
        left -= 1
    return left


@kernel
def travel(
    on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, target: float, left: int
) -> int:
    """Move the price to a target, acting on the way; returns how many actions are left of the bound.

    On the way trailing stops only move away from the price, so it is enough to move them at the end.
    """
    while left > 0 and not asleep(run, target):
        slot = next_touched(orders, run["price"], target)
        if slot < 0:
            break
        run["price"] = orders[slot]["price"]
        act(on_fill, run, orders, setup, params, notes, trades, slot)
        watch(run, orders)
        left = settle(on_fill, run, orders, setup, params, notes, trades, run["price"], left - 1)
    run["price"] = target
    lead_along(run, orders)
    return left


@inlined
def lead_along(run: Any, orders: Any) -> None:
    """Let trailing stops and alarms follow the run's price, where one may."""
    if not asleep(run, run["price"]):
        follow(orders, run["price"])
        watch(run, orders)


@inlined
def follow(orders: Any, price: float) -> None:
    """Let trailing stops and alarms follow the price."""
    for slot in range(len(orders)):
        order = orders[slot]
        if order["type"] <= NONE or order["distance"] == 0.0:
            continue
        trigger = price * (1.0 + order["side"] * order["distance"])
        if order["side"] == SELL:
            order["price"] = max(order["price"], trigger)
        else:
            order["price"] = min(order["price"], trigger)


@kernel
def walk(
    on_fill: Any,
    run: Any,
    orders: Any,
    setup: Any,
    params: Any,
    notes: Any,
    trades: Any,
    since: float,
    first: float,
    second: float,
    close: float,
) -> None:
    """Lead the run along a bar whose open is run["price"], reached from `since`, by its two extremes to its close.

    Every look at all orders costs, so the two prices that can wake the run are known at any moment of it, before and
    after: what lies between them needs no look.
    """
    limit = most_fills(len(orders))
    left = settle(on_fill, run, orders, setup, params, notes, trades, since, limit)
    lead_along(run, orders)
    if asleep(run, first) and asleep(run, second) and left > 0:
        run["price"] = close
        return
    left = travel(on_fill, run, orders, setup, params, notes, trades, first, left)
    left = travel(on_fill, run, orders, setup, params, notes, trades, second, left)
    left = travel(on_fill, run, orders, setup, params, notes, trades, close, left)
    if left <= 0:
        cancel_all(orders)
        watch(run, orders)
        run["status"] = FAILED
        note(run, notes, TOO_MANY_FILLS, -1, float(limit))


@inlined
def watch(run: Any, orders: Any) -> None:
    """Remember the nearest prices that can wake the run; a waiting market order wakes it at any price."""
    low = -np.inf
    high = np.inf
    for slot in range(len(orders)):
        order = orders[slot]
        if order["type"] <= NONE:
            continue
        if order["type"] == MARKET:
            high = -np.inf
        elif falls_to(order):
            low = max(low, order["price"])
        else:
            high = min(high, order["price"])
        if order["distance"] > 0.0:
            # A new best price moves it, so that wakes the run too.
            best = order["price"] / (1.0 + order["side"] * order["distance"])
            high = min(high, best) if order["side"] == SELL else high
            low = low if order["side"] == SELL else max(low, best)
    run["wake_low"] = low
    run["wake_high"] = high
