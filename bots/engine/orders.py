"""How a kind says what it wants working: place and cancel in slots, alarms, notes of why."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.types import ALARM, BUY, LIQUIDATION, MARKET, NONE, RUNNING, SELL, STOPPED, TRAIL
from bots.risk import amount_for, is_entry, refusal
from markets.precision import floor_to_step, round_to_step


@kernel
def note(run: Any, notes: Any, code: int, slot: int, value: float) -> None:
    """Write down a decision. The buffer is drained after every bar; beyond its end notes are dropped."""
    count = run["notes"]
    if count < len(notes):
        entry = notes[count]
        entry["time"] = run["time"]
        entry["code"] = code
        entry["slot"] = slot
        entry["price"] = run["price"]
        entry["value"] = value
        run["notes"] = count + 1


@kernel
def cancel(orders: Any, slot: int) -> None:
    """Empty a slot: the order in it is no longer wanted."""
    orders[slot]["type"] = NONE


@kernel
def cancel_all(orders: Any) -> None:
    """Empty every slot but the exchange's own, which is the last one."""
    last = len(orders) - 1
    for slot in range(last):
        orders[slot]["type"] = NONE
    if orders[last]["type"] != LIQUIDATION:
        orders[last]["type"] = NONE


@inlined
def write(
    run: Any, orders: Any, slot: int, order_type: int, side: int, price: float, amount: float, distance: float, tag: int
) -> None:
    """Fill in a slot as it is asked for, seen by nobody yet."""
    order = orders[slot]
    order["type"] = order_type
    order["side"] = side
    order["tag"] = tag
    order["sequence"] = 0
    order["price"] = price
    order["amount"] = amount
    order["cost"] = 0.0
    order["filled"] = 0.0
    order["distance"] = distance
    order["placed"] = run["price"]


@inlined
def submit(run: Any, orders: Any, setup: Any, notes: Any, slot: int) -> bool:
    """Give what stands in a slot its identity, or take it out again with a note; True when risk lets it.

    While entries are held, an entry is wanted but does not work. A run that is over wants nothing any more, whatever
    its kind makes of the fill that closed its position.
    """
    order = orders[slot]
    if run["status"] != RUNNING:
        order["type"] = NONE
        return False
    code, value = refusal(run, orders, setup, slot)
    if code != 0:
        order["type"] = NONE
        note(run, notes, code, slot, value)
        return False
    run["sequence"] += 1
    order["sequence"] = run["sequence"]
    if run["held_until"] > 0 and is_entry(run, order):
        order["type"] = -order["type"]
    return True


@kernel
def place(
    run: Any,
    orders: Any,
    setup: Any,
    notes: Any,
    slot: int,
    order_type: int,
    side: int,
    price: float,
    amount: float,
    tag: int,
    distance: float = 0.0,
) -> bool:
    """Want an order in a slot, in the place of what was there; True when risk lets it.

    The price is rounded to the tick, the amount down to the lot. A refusal empties the slot and leaves a note.
    """
    rounded = 0.0 if order_type == MARKET else round_to_step(price, setup["tick"])
    write(run, orders, slot, order_type, side, rounded, floor_to_step(amount, setup["lot"]), distance, tag)
    return submit(run, orders, setup, notes, slot)


@kernel
def place_cost(run: Any, orders: Any, setup: Any, notes: Any, slot: int, side: int, cost: float, tag: int) -> bool:
    """Want a market order for so much quote money, a buy's fee included, whatever the next price is.

    True when risk lets it.
    """
    write(run, orders, slot, MARKET, side, 0.0, amount_for(setup, side, cost, run["price"]), 0.0, tag)
    orders[slot]["cost"] = cost
    return submit(run, orders, setup, notes, slot)


@kernel
def place_trailing(
    run: Any, orders: Any, setup: Any, notes: Any, slot: int, side: int, distance: float, amount: float, tag: int
) -> bool:
    """Want a trailing stop: a sell `distance` (a fraction) below the highest price from now on, a buy above the lowest.

    It fills as a market order. True when risk lets it.
    """
    price = run["price"] * (1.0 + side * distance)
    return place(run, orders, setup, notes, slot, TRAIL, side, price, amount, tag, distance)


@kernel
def close(run: Any, orders: Any, setup: Any, notes: Any, slot: int, tag: int) -> None:
    """Want the position gone at the next price: a long sold, a short bought back."""
    if run["position"] != 0.0:
        side = SELL if run["position"] > 0.0 else BUY
        place(run, orders, setup, notes, slot, MARKET, side, 0.0, abs(run["position"]), tag)


@kernel
def end(run: Any, orders: Any, setup: Any, notes: Any, slot: int, sell: bool, code: int, tag: int) -> None:
    """Withdraw everything and end the run with a note; close the position through a slot, or keep it.

    On margin it is always closed: an account can hold coins, but no position that no bot looks after. A run ends once.
    """
    if run["status"] != RUNNING:
        return
    cancel_all(orders)
    note(run, notes, code, -1, run["position"])
    if sell or setup["leverage"] > 0.0:
        close(run, orders, setup, notes, slot, tag)
    run["status"] = STOPPED


@kernel
def alarm(run: Any, orders: Any, slot: int, side: int, price: float, tag: int) -> None:
    """Wake the kind when the price is touched: side BUY from below (at or above), SELL from above."""
    if run["status"] == RUNNING:
        write(run, orders, slot, ALARM, side, price, 0.0, 0.0, tag)


@kernel
def trailing_alarm(run: Any, orders: Any, slot: int, side: int, distance: float, tag: int) -> None:
    """Wake the kind when the price has turned by `distance` (a fraction): BUY from its low, SELL from its high."""
    if run["status"] == RUNNING:
        write(run, orders, slot, ALARM, side, run["price"] * (1.0 + side * distance), 0.0, distance, tag)
