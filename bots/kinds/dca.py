"""DCA: a base order, safety orders that buy a fall at growing distances, and one take profit for all of it.

A deal begins with the base order at P0. Safety order k rests at P0 (1 − D_k), D_k = s (m^k − 1) / (m − 1) with step
s and step scale m (k s when m is 1), for safety_order v^(k − 1) quote with volume scale v. Each safety fill moves the
take profit: on the total, cost (1 + tp) / amount; on the base order, (cost + base tp) / amount; cost with fees paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit

from bots.engine.orders import alarm, cancel, cancel_all, end, note, place, place_trailing
from bots.engine.types import BUY, KIND_NOTE, LIMIT, MARKET, NEVER, NONE, SELL, STOP, Terms
from bots.kinds.contract import Kind
from bots.kinds.parameters import Problems, parameter
from markets.series import Column

TAGS: Final = ("", "base order", "safety order", "take profit", "stop loss", "target", "entry", "close")
BASE, SAFETY, TAKE_PROFIT, STOP_LOSS, TARGET, ENTRY, CLOSE = range(1, 8)
DEAL, TOO_DEAR, TRAILS, FINISHED, COOLS, DONE = range(KIND_NOTE, KIND_NOTE + 6)

_ENTRY_SLOT, _EXIT_SLOT, _STOP_SLOT, _FIRST_SAFETY = range(4)
# Layout of the parameter vector; deviations (fractions) and quote sizes of the safety orders follow.
_BASE, _COUNT, _ACTIVE, _PROFIT, _ON_BASE, _TRAILING, _LOSS, _COOLDOWN, _DEALS, _MAX_PRICE, _HEAD = range(11)
# Layout of the memory.
_START_PRICE, _FILLED, _DEAL_FEES, _DEALS_DONE, _BASE_COST = range(5)


@dataclass(frozen=True, slots=True)
class Params:
    base_order: float = parameter(
        "number", "Base order", "Bought at once when a deal begins.", unit="quote", least=1e-9
    )
    safety_order: float = parameter("number", "Safety order", "Size of the first one.", unit="quote", least=1e-9)
    max_safety_orders: int = parameter("whole", "Safety orders", "At most, a deal.", least=0, most=200, default=5)
    active_safety_orders: int = parameter(
        "whole", "Active safety orders", "So many rest at once; 0 is all.", least=0, most=200, default=0
    )
    step: float = parameter(
        "number",
        "Price deviation",
        "Of the first safety order from the base order.",
        unit="%",
        least=0.01,
        most=99,
        default=1.5,
    )
    step_scale: float = parameter(
        "number", "Step scale", "Each further step is so many times the one before.", least=0.1, most=10, default=1.0
    )
    volume_scale: float = parameter(
        "number",
        "Volume scale",
        "Each further safety order is so many times the one before.",
        least=0.1,
        most=10,
        default=1.0,
    )
    take_profit: float = parameter("number", "Take profit", "Of a deal.", unit="%", least=0.01, most=1000, default=1.5)
    take_profit_on: str = parameter(
        "choice",
        "Take profit on",
        "Percent of everything bought in the deal, or of the base order alone.",
        choices=(("total", "The total"), ("base", "The base order")),
        default="total",
    )
    trailing: float | None = parameter(
        "number",
        "Trailing deviation",
        "From the target on follow the high, sell this far below.",
        unit="%",
        least=0.05,
        most=50,
        default=None,
    )
    stop_loss: float | None = parameter(
        "number", "Stop loss", "Sell this far below the base order.", unit="%", least=0.05, most=99, default=None
    )
    cooldown: int = parameter("whole", "Cooldown", "Pause between deals.", unit="s", least=0, most=2_592_000, default=0)
    max_deals: int = parameter("whole", "Deals", "End after so many; 0 goes on.", least=0, most=1_000_000, default=0)
    max_price: float | None = parameter(
        "price", "Highest price", "No deal begins above it.", unit="quote", least=1e-12, default=None
    )


def deviations(params: Params) -> Column:
    """D_1 … D_n, fractions of the base order's price."""
    return np.cumsum(params.step / 100.0 * params.step_scale ** np.arange(params.max_safety_orders))


def sizes(params: Params) -> Column:
    """Quote of each safety order."""
    return np.asarray(params.safety_order * params.volume_scale ** np.arange(params.max_safety_orders))


def active(params: Params) -> int:
    return min(params.active_safety_orders or params.max_safety_orders, params.max_safety_orders)


def first_order(params: Params, terms: Terms, allocation: float) -> float:
    return params.base_order


def slots(params: Params) -> int:
    """Entry, exit, stop, and one for each safety order that may rest at once."""
    return _FIRST_SAFETY + active(params)


def vector(params: Params, terms: Terms) -> Column:
    head = [
        params.base_order,
        params.max_safety_orders,
        active(params),
        params.take_profit / 100.0,
        params.take_profit_on == "base",
        (params.trailing or 0.0) / 100.0,
        (params.stop_loss or 0.0) / 100.0,
        params.cooldown * 1000.0,
        params.max_deals,
        params.max_price or 0.0,
    ]
    return np.concatenate([np.array(head, np.float64), deviations(params), sizes(params)])


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems: Problems = {}
    deepest = float(deviations(params)[-1]) if params.max_safety_orders else 0.0
    if deepest >= 1.0:
        problems["max_safety_orders"] = (
            f"max_safety_orders: order {params.max_safety_orders} would lie {100 * deepest:.4g} % below the base "
            "order, which must be under 100 %: lower the count, step or step_scale."
        )
    if params.stop_loss is not None and params.stop_loss / 100.0 <= deepest:
        problems["stop_loss"] = (
            f"stop_loss must be beyond the last safety order ({100 * deepest:.4g} %), not {params.stop_loss:.4g} %."
        )
    # What is left of the target when a trailing sale turns at once.
    left = (1.0 + params.take_profit / 100.0) * (1.0 - (params.trailing or 0.0) / 100.0) - 1.0
    if left <= terms.taker:
        problems["take_profit"] = (
            f"take_profit must leave more than the fee of the sale {100 * terms.taker:.3g} %, not {100 * left:.3g} %: "
            "every deal would lose."
        )
    return problems | _money_problem(params, terms, allocation)


def _money_problem(params: Params, terms: Terms, allocation: float) -> Problems:
    orders = np.concatenate([[params.base_order], sizes(params)])
    needed = float(orders.sum()) * (1.0 + max(terms.maker, terms.taker)) * (1.0 + terms.slippage)
    if needed > allocation * (1.0 + 1e-12):
        return {
            "allocation": f"allocation must be at least {needed:.8g}, what the base order and all safety orders take "
            f"with fees, not {allocation:.15g}."
        }
    name, size = ("base_order", params.base_order) if orders.argmin() == 0 else ("safety_order", float(orders.min()))
    if size < terms.min_cost:
        return {name: f"{name} must be at least the market's minimum order {terms.min_cost:.15g}, not {size:.6g}."}
    return {}


@njit(cache=True)
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Begin a deal, or wait for a price at which one may."""
    limit = params[_MAX_PRICE]
    if limit > 0.0 and run["price"] > limit:
        alarm(run, orders, _ENTRY_SLOT, SELL, limit, ENTRY)
        note(run, notes, TOO_DEAR, _ENTRY_SLOT, limit)
    else:
        place(run, orders, setup, notes, _ENTRY_SLOT, MARKET, BUY, 0.0, params[_BASE] / run["price"], BASE)


@njit(cache=True)
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Place the exits for what the deal holds now, in the place of the old ones."""
    memory = run["memory"]
    cost = run["cost"] + memory[_DEAL_FEES]
    profit = memory[_BASE_COST] * params[_PROFIT] if params[_ON_BASE] != 0.0 else cost * params[_PROFIT]
    target = (cost + profit) / run["position"]
    cancel(orders, _EXIT_SLOT)
    cancel(orders, _STOP_SLOT)
    if params[_TRAILING] > 0.0:
        alarm(run, orders, _EXIT_SLOT, BUY, target, TARGET)
    else:
        place(run, orders, setup, notes, _EXIT_SLOT, LIMIT, SELL, target, run["position"], TAKE_PROFIT)
    if params[_LOSS] > 0.0:
        stop = memory[_START_PRICE] * (1.0 - params[_LOSS])
        place(run, orders, setup, notes, _STOP_SLOT, STOP, SELL, stop, run["position"], STOP_LOSS)


@njit(cache=True)
def want_safety(run: Any, orders: Any, setup: Any, params: Any, notes: Any, number: int) -> None:
    """Want safety order `number`, counted from 0, in a free slot."""
    count = int(params[_COUNT])
    if number >= count:
        return
    price = run["memory"][_START_PRICE] * (1.0 - params[_HEAD + number])
    for slot in range(_FIRST_SAFETY, len(orders)):
        if orders[slot]["type"] == NONE:
            amount = params[_HEAD + count + number] / price
            place(run, orders, setup, notes, slot, LIMIT, BUY, price, amount, SAFETY)
            return


@njit(cache=True)
def opened(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    memory = run["memory"]
    memory[_START_PRICE] = trade["price"]
    memory[_FILLED] = 0.0
    memory[_DEAL_FEES] = trade["fee"]
    memory[_BASE_COST] = trade["price"] * trade["amount"]
    note(run, notes, DEAL, _ENTRY_SLOT, memory[_DEALS_DONE] + 1.0)
    for number in range(int(params[_ACTIVE])):
        want_safety(run, orders, setup, params, notes, number)
    guard(run, orders, setup, params, notes)


@njit(cache=True)
def averaged(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    memory = run["memory"]
    memory[_FILLED] += 1.0
    memory[_DEAL_FEES] += trade["fee"]
    want_safety(run, orders, setup, params, notes, int(memory[_FILLED] + params[_ACTIVE]) - 1)
    guard(run, orders, setup, params, notes)


@njit(cache=True)
def closed(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The deal is over: end, cool down, or begin the next one."""
    cancel_all(orders)
    memory = run["memory"]
    memory[_DEALS_DONE] += 1.0
    note(run, notes, FINISHED, _EXIT_SLOT, memory[_DEALS_DONE])
    if params[_DEALS] > 0.0 and memory[_DEALS_DONE] >= params[_DEALS]:
        end(run, orders, setup, notes, _ENTRY_SLOT, False, DONE, CLOSE)
    elif params[_COOLDOWN] > 0.0:
        run["wake_time"] = run["time"] + int(params[_COOLDOWN])
        note(run, notes, COOLS, _ENTRY_SLOT, params[_COOLDOWN] / 1000.0)
    else:
        begin(run, orders, setup, params, notes)


@njit(cache=True)
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    begin(run, orders, setup, params, notes)


@njit(cache=True)
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == BASE:
        opened(run, orders, setup, params, notes, trade)
    elif tag == SAFETY:
        averaged(run, orders, setup, params, notes, trade)
    elif tag == TARGET:
        place_trailing(run, orders, setup, notes, _EXIT_SLOT, SELL, params[_TRAILING], run["position"], TAKE_PROFIT)
        note(run, notes, TRAILS, _EXIT_SLOT, run["price"])
    elif tag == ENTRY:
        begin(run, orders, setup, params, notes)
    elif tag in (TAKE_PROFIT, STOP_LOSS):
        closed(run, orders, setup, params, notes)


@njit(cache=True)
def on_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    """Begin the next deal at the open of the first candle after the cooldown."""
    run["wake_time"] = NEVER
    begin(run, orders, setup, params, notes)


KIND = Kind(
    slug="dca",
    label="DCA",
    summary="Buys a falling price in growing steps and sells everything at one profit.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    first_order=first_order,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=on_bar,
    example={"base_order": 100.0, "safety_order": 100.0},
    tags=TAGS,
    reasons={
        "base order": "a deal begins",
        "safety order": "the price fell to a safety order",
        "take profit": "the deal reached its profit",
        "stop loss": "the stop loss was touched",
        "close": "the bot ended and sells what it holds",
    },
    notes={
        DEAL: "Deal {value} began at {price}.",
        TOO_DEAR: "The price {price} is above the highest price {value} for a deal: waiting.",
        TRAILS: "The target {value} is reached; following the high from here.",
        FINISHED: "Deal {value} is closed.",
        COOLS: "Cooling down for {value} s before the next deal.",
        DONE: "All deals are done; the bot ends.",
    },
)
