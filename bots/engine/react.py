"""What the engine does when somebody else fills: one event at a time, booked and told to the kind.

An exchange fills the orders of a live run; here its executions are booked in the same ledger, local triggers ring,
and bars open and close, through the very functions that the loop of backtest and paper calls. Fed with the events of
a bar in the order in which its path has them, a run trades and remembers, byte for byte, what the loop makes of it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bots.engine.kernel import entry, kernel
from bots.engine.ledger import apply, book_payment, equity
from bots.engine.loop import open_bar
from bots.engine.matching import act, follow, watch
from bots.engine.orders import cancel_all, note
from bots.engine.protection import after_fill, due_time, floor_of, judge, margin, open_day
from bots.engine.types import ALARM, FAILED, LIQUIDATED, LIQUIDATION, NEVER, NONE, RUNNING, STOPPED, TOO_MANY_FILLS
from markets.precision import round_to_step

# event["code"]
OPENED: Final = 0  # a bar begins; of the first one the price is its open
TURNED: Final = 1  # the price came here and may turn: trailing stops follow
TOUCHED: Final = 2  # the price of an alarm or trailing stop is reached
EXECUTED: Final = 3  # an order traded, in part or in full
ENDED: Final = 4  # the exchange took an order, or what is left of one, off its book
CLOSED: Final = 5  # the bar is over
CIRCLED: Final = 6  # too much happened in one bar; value: how much

TAKEN_OVER: Final = 7  # the exchange liquidated the position
FUNDED: Final = 8  # funding settled at the open of a bar; price: that open

# order["cost"] of a trailing stop that was touched: it is a market order now, and the exchange has it.
SENT: Final = -1.0

EVENT = np.dtype(
    [
        ("code", "i8"),
        ("time", "i8"),  # open time of the bar, ms UTC
        ("price", "f8"),  # of the market
        ("slot", "i8"),  # TOUCHED
        ("signal", "i8"),  # CLOSED: what the kind sees in the bar
        ("quiet", "i8"),  # CLOSED: nothing was told between this and the close before
        ("done", "i8"),  # EXECUTED: nothing of the order is left
        ("value", "f8"),  # CIRCLED; FUNDED: the rate
        ("sequence", "i8"),  # EXECUTED, ENDED: the order's; the next four for one that is wanted no more
        ("type", "i8"),
        ("side", "i8"),
        ("tag", "i8"),
        ("limit", "f8"),
        ("executed", "i8"),  # when, ms UTC
        ("paid", "f8"),  # price of the execution
        ("amount", "f8"),
        ("fee", "f8"),  # FUNDED: what was paid, negative when received
        ("before_amount", "f8"),  # what executions of the order that were booked earlier add up to
        ("before_cost", "f8"),
        ("before_fee", "f8"),
        ("before_realized", "f8"),
    ],
    align=True,
)


@kernel
def slot_of(orders: Any, sequence: int) -> int:
    """Slot of the order with this identity; -1 when it is wanted no more."""
    for slot in range(len(orders)):
        if orders[slot]["sequence"] == sequence and orders[slot]["type"] != NONE:
            return slot
    return -1


@kernel
def describe_execution(orders: Any, event: Any, slot: int, trade: Any) -> None:
    """The record of an execution: what its order was for, and what it traded."""
    trade["time"] = event["executed"]
    trade["slot"] = slot
    trade["sequence"] = event["sequence"]
    trade["type"] = event["type"]
    trade["side"] = event["side"]
    trade["tag"] = event["tag"]
    trade["limit"] = event["limit"] if slot < 0 else orders[slot]["price"]
    trade["price"] = event["paid"]
    trade["amount"] = event["amount"]
    trade["fee"] = event["fee"]


@kernel
def empty(orders: Any, slot: int) -> None:
    """Take an order that is over out of its slot."""
    order = orders[slot]
    order["type"] = NONE
    order["filled"] = 0.0
    if order["cost"] == SENT:
        order["cost"] = 0.0


@kernel
def sum_up(trade: Any, event: Any) -> None:
    """Make the record of a last execution that of its whole order: the amount at its average price, all fees."""
    amount = event["before_amount"] + trade["amount"]
    trade["price"] = (event["before_cost"] + trade["price"] * trade["amount"]) / amount
    trade["amount"] = amount
    trade["fee"] += event["before_fee"]
    trade["realized"] += event["before_realized"]


@kernel
def book(on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, event: Any) -> None:
    """Book an execution. The kind is told once the order is complete; nothing of one that it wants no more."""
    slot = slot_of(orders, event["sequence"])
    count = run["trades"]
    trade = trades[count]
    describe_execution(orders, event, slot, trade)
    trade["realized"] = apply(run, trade["side"], trade["price"], trade["amount"], trade["fee"], setup["lot"])
    run["trades"] += 1
    run["fills"] += 1
    complete = slot >= 0 and event["done"] != 0
    if complete:
        empty(orders, slot)
    elif slot >= 0:
        orders[slot]["filled"] = round_to_step(orders[slot]["filled"] + trade["amount"], setup["lot"])
    after_fill(run, orders, setup, notes, trade)
    if complete and event["before_amount"] == 0.0:
        on_fill(run, orders, setup, params, notes, trades[count])
    elif complete:
        trades[count + 1] = trades[count]  # scratch: the count does not move
        sum_up(trades[count + 1], event)
        on_fill(run, orders, setup, params, notes, trades[count + 1])


@kernel
def drop(on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, event: Any) -> None:
    """The exchange ended an order: its slot is free. The kind is told of what was filled, and of nothing else."""
    slot = slot_of(orders, event["sequence"])
    if slot < 0:
        return
    if event["before_amount"] > 0.0:
        told = trades[run["trades"]]  # scratch: the count does not move
        describe_execution(orders, event, slot, told)
        told["amount"] = told["fee"] = told["realized"] = 0.0
        sum_up(told, event)
        empty(orders, slot)
        on_fill(run, orders, setup, params, notes, told)
    else:
        empty(orders, slot)


@kernel
def taken_over(run: Any, orders: Any, setup: Any, notes: Any, trades: Any, event: Any) -> None:
    """The exchange closed the position and ended every order: book it, and end. Its order has the last slot."""
    slot, position = len(orders) - 1, run["position"]
    run["sequence"] += 1
    trade = trades[run["trades"]]
    describe_execution(orders, event, slot, trade)
    trade["sequence"], trade["type"] = run["sequence"], LIQUIDATION
    trade["realized"] = apply(run, trade["side"], trade["price"], trade["amount"], trade["fee"], setup["lot"])
    run["trades"] += 1
    run["fills"] += 1
    orders[slot]["type"] = NONE
    cancel_all(orders)
    run["status"] = STOPPED
    note(run, notes, LIQUIDATED, slot, position)


@kernel
def settle_funding(run: Any, orders: Any, setup: Any, trades: Any, event: Any) -> None:
    """Funding settled. It is paid before the price moves to the open, so the run's stays that of the close before."""
    run["time"] = event["time"]
    open_day(run, setup)
    if event["value"] != 0.0 and run["position"] != 0.0:
        book_payment(run, trades, event["price"], event["value"], event["fee"])
        margin(run, orders, setup)
        watch(run, orders)


@kernel
def touch(on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, slot: int) -> None:
    """An alarm rings; a trailing stop becomes a market order."""
    if orders[slot]["type"] == ALARM:
        act(on_fill, run, orders, setup, params, notes, trades, slot)
    else:
        orders[slot]["cost"] = SENT


@kernel
def close_bar(on_bar: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, event: Any, inputs: Any) -> None:
    """The end of a bar. One in which nothing happened leaves what the loop leaves when it passes over it."""
    signal, price = event["signal"], event["price"]
    floor, worth = floor_of(run, setup), equity(run, price)
    idle = event["quiet"] != 0 and signal == 0 and event["time"] < due_time(run, setup, NEVER) and worth > floor
    run["time"] = event["time"]
    if idle:
        run["price"] = price
        if floor > -np.inf:
            run["peak"] = max(run["peak"], worth)
        return
    open_day(run, setup)
    run["price"] = price
    follow(orders, price)
    if (signal != 0 or run["time"] >= run["wake_time"]) and run["status"] == RUNNING:
        on_bar(run, orders, setup, params, notes, signal, inputs)
    judge(run, orders, setup, notes)
    watch(run, orders)


@kernel
def within_bar(
    on_fill: Any, run: Any, orders: Any, setup: Any, params: Any, notes: Any, trades: Any, event: Any
) -> None:
    """What may happen between the open and the close of a bar."""
    code = event["code"]
    run["time"] = event["time"]
    open_day(run, setup)
    run["price"] = event["price"]
    if code == TURNED:
        follow(orders, event["price"])
    elif code == TOUCHED:
        touch(on_fill, run, orders, setup, params, notes, trades, event["slot"])
    elif code == EXECUTED:
        book(on_fill, run, orders, setup, params, notes, trades, event)
    elif code == TAKEN_OVER:
        taken_over(run, orders, setup, notes, trades, event)
    elif code == ENDED:
        drop(on_fill, run, orders, setup, params, notes, trades, event)
    else:
        cancel_all(orders)
        run["status"] = FAILED
        note(run, notes, TOO_MANY_FILLS, -1, event["value"])
    watch(run, orders)


@entry
def react(
    on_start: Any,
    on_fill: Any,
    on_bar: Any,
    runs: Any,
    orders: Any,
    setups: Any,
    params: Any,
    notes: Any,
    trades: Any,
    events: Any,
    inputs: Any,
) -> None:
    """Let one run react to one event; runs, setups and events have the shape (1,)."""
    run, setup, event = runs[0], setups[0], events[0]
    if event["code"] == OPENED:
        run["time"] = event["time"]
        open_bar(on_start, run, orders, setup, params, notes, trades, event["price"], 0.0)
    elif event["code"] == FUNDED:
        settle_funding(run, orders, setup, trades, event)
    elif event["code"] == CLOSED:
        close_bar(on_bar, run, orders, setup, params, notes, event, inputs)
    else:
        within_bar(on_fill, run, orders, setup, params, notes, trades, event)
