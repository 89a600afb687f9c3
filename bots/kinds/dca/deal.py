"""The course of a DCA deal: it begins, averages down, is closed, and the next one begins."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel_all, end, note, place
from bots.engine.types import BUY, LIMIT, MARKET, NEVER, NONE, SELL
from bots.kinds.conditions import dearest
from bots.kinds.dca.exits import follow_high, guard, judge_stop, move_to_even, part_sold, place_stop, touched
from bots.kinds.dca.layout import (
    BASE,
    BASE_COST,
    BEYOND,
    BEYOND_STOP,
    BREAK_EVEN,
    CLOSE,
    COOLS,
    DEAL,
    DEAL_FEES,
    DEALS_DONE,
    DONE,
    ENTRY,
    ENTRY_SLOT,
    EVEN,
    EXIT_SLOT,
    FILLED,
    FINISHED,
    FIRST_SAFETY,
    GROWTH,
    HEAD,
    LOST,
    PROFIT,
    SAFETY,
    START_PRICE,
    STEPS_DONE,
    STOP_LOSS,
    TAKE_PROFIT,
    TARGET,
    TOO_CHEAP,
    TOO_DEAR,
    V_ACTIVE,
    V_BASE,
    V_COOLDOWN,
    V_COUNT,
    V_DEALS,
    V_LOSS_ENDS,
    V_MAX_PRICE,
    V_MIN_PRICE,
    V_REINVEST,
)
from bots.risk import NOISE


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Begin a deal, or wait for a price at which one may."""
    if run["price"] > params[V_MAX_PRICE]:
        alarm(run, orders, ENTRY_SLOT, SELL, params[V_MAX_PRICE], ENTRY)
        note(run, notes, TOO_DEAR, ENTRY_SLOT, params[V_MAX_PRICE])
    elif run["price"] < params[V_MIN_PRICE]:
        alarm(run, orders, ENTRY_SLOT, BUY, params[V_MIN_PRICE], ENTRY)
        note(run, notes, TOO_CHEAP, ENTRY_SLOT, params[V_MIN_PRICE])
    else:
        run["memory"][GROWTH] = growth(run, setup, params)
        size, price = params[V_BASE] * (1.0 + run["memory"][GROWTH]), run["price"]
        if size <= run["cash"]:
            # Where the plan takes all the money there is, a price between two ticks must not cost more than that.
            most = run["cash"] / (dearest(setup, price) * (1.0 + setup["taker"]))
            place(run, orders, setup, notes, ENTRY_SLOT, MARKET, BUY, 0.0, min(size / price, most), BASE)
        else:
            place(run, orders, setup, notes, ENTRY_SLOT, MARKET, BUY, 0.0, size / price, BASE)


@kernel
def growth(run: Any, setup: Any, params: Any) -> float:
    """What reinvested profits add to every size of a deal, a fraction; no more than the cash can pay with fees."""
    if params[V_REINVEST] == 0.0:
        return 0.0
    count = int(params[V_COUNT])
    plan = params[V_BASE] + params[HEAD + count : HEAD + 2 * count].sum()
    fees = (1.0 + max(setup["maker"], setup["taker"])) * (1.0 + setup["slippage"])
    earned = params[V_REINVEST] * (run["cash"] - setup["allocation"])
    return float(max(min(earned, run["cash"] / fees - plan) / plan, 0.0))


@kernel
def want_safety(run: Any, orders: Any, setup: Any, params: Any, notes: Any, number: int) -> None:
    """Want safety order `number`, counted from 0, in a free slot."""
    count = int(params[V_COUNT])
    if number >= count:
        return
    price = run["memory"][START_PRICE] * (1.0 - params[HEAD + number])
    size = params[HEAD + count + number] * (1.0 + run["memory"][GROWTH])
    for slot in range(FIRST_SAFETY, FIRST_SAFETY + int(params[V_ACTIVE])):
        if orders[slot]["type"] == NONE:
            place(run, orders, setup, notes, slot, LIMIT, BUY, price, size / price, SAFETY)
            return


@kernel
def opened(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    memory = run["memory"]
    memory[START_PRICE] = trade["price"]
    memory[FILLED] = 0.0
    memory[DEAL_FEES] = trade["fee"]
    memory[BASE_COST] = trade["price"] * trade["amount"]
    note(run, notes, DEAL, ENTRY_SLOT, memory[DEALS_DONE] + 1.0)
    for number in range(int(params[V_ACTIVE])):
        want_safety(run, orders, setup, params, notes, number)
    guard(run, orders, setup, params, notes)


@kernel
def averaged(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    memory = run["memory"]
    memory[FILLED] += 1.0
    memory[DEAL_FEES] += trade["fee"]
    want_safety(run, orders, setup, params, notes, int(memory[FILLED] + params[V_ACTIVE]) - 1)
    guard(run, orders, setup, params, notes)


@kernel
def closed(run: Any, orders: Any, setup: Any, params: Any, notes: Any, tag: int) -> None:
    """The deal is over: end, cool down, or begin the next one."""
    cancel_all(orders)
    run["wake_time"] = NEVER
    memory = run["memory"]
    memory[STEPS_DONE] = memory[EVEN] = memory[BEYOND] = 0.0
    memory[DEALS_DONE] += 1.0
    note(run, notes, FINISHED, EXIT_SLOT, memory[DEALS_DONE])
    if tag == STOP_LOSS and params[V_LOSS_ENDS] != 0.0:
        end(run, orders, setup, notes, ENTRY_SLOT, False, LOST, CLOSE)
    elif params[V_DEALS] > 0.0 and memory[DEALS_DONE] >= params[V_DEALS]:
        end(run, orders, setup, notes, ENTRY_SLOT, False, DONE, CLOSE)
    elif params[V_COOLDOWN] > 0.0:
        run["wake_time"] = run["time"] + int(params[V_COOLDOWN])
        note(run, notes, COOLS, ENTRY_SLOT, params[V_COOLDOWN] / 1000.0)
    else:
        begin(run, orders, setup, params, notes)


@kernel
def sold(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    if run["position"] > 0.5 * setup["lot"] + NOISE * trade["amount"]:
        part_sold(run, orders, setup, params, notes, trade)
    else:
        closed(run, orders, setup, params, notes, trade["tag"])


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    begin(run, orders, setup, params, notes)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == BASE:
        opened(run, orders, setup, params, notes, trade)
    elif tag == SAFETY:
        averaged(run, orders, setup, params, notes, trade)
    elif tag == TARGET:
        follow_high(run, orders, setup, params, notes)
    elif tag == ENTRY:
        begin(run, orders, setup, params, notes)
    elif tag == PROFIT:
        move_to_even(run, setup, notes)
        place_stop(run, orders, setup, params, notes)
    elif tag == BEYOND_STOP:
        touched(run, setup, params, notes)
    elif tag in (TAKE_PROFIT, STOP_LOSS, BREAK_EVEN):
        sold(run, orders, setup, params, notes, trade)


@inlined
def on_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    """A close while the stop's timeout runs, or the first one after the cooldown."""
    if run["memory"][BEYOND] != 0.0:
        judge_stop(run, orders, setup, params, notes)
    else:
        run["wake_time"] = NEVER
        begin(run, orders, setup, params, notes)
