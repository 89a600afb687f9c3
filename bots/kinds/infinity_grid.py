"""Infinity grid: a grid without an upper price that keeps the quote value of what it holds constant.

Levels are geometric around the start, p_i = P1 (1 + q)^i, unbounded above, down to the lowest price. At level p it
holds V / p base, so the order between two neighbours p and p (1 + q) is V (1/p − 1/(p (1 + q))) base: sold on the way
up, bought back on the way down. A rise by one level sells V q quote worth; a cycle earns V q² / (1 + q), q of what its
buy cost.

Funding: V is bought at the start, and V (1 − 1/(1 + q)) is reserved for each of the levels down to the lowest price, as
much more or less as rounding to the tick makes the level cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel, note, place
from bots.engine.types import BUY, LIMIT, MARKET, SELL, Terms
from bots.kinds import conditions
from bots.kinds.conditions import (
    START,
    STOP_LOSS,
    TAKE_PROFIT,
    TRIGGER,
    dearest,
    follow_equity,
    market_slot,
    may_start,
    reached,
    watch_exits,
)
from bots.kinds.contract import Kind
from bots.kinds.parameters import Problems, parameter
from markets.precision import ceil_to_step, floor_to_step, round_to_step
from markets.series import Column

TAGS: Final = conditions.tags("grid", "below")
GRID, BELOW = 1, conditions.FIRST_TAG
STARTED, LEFT_BELOW, CAME_BACK = range(conditions.FIRST_NOTE, conditions.FIRST_NOTE + 3)

# Layout of the parameter vector behind the head of the conditions.
_LOWER, _RATIO, _WINDOW = range(conditions.FIELDS, conditions.FIELDS + 3)
# Layout of the memory.
_VALUE, _PROFIT, _CYCLES, _FIRST_PRICE, _LEVEL = range(5)


@dataclass(frozen=True)
class Levels:
    """The levels and the orders on them."""

    lower: float = parameter(
        "price",
        "Lowest price",
        "No buys below it; money for all buys down to it is reserved.",
        unit="quote",
        least=1e-12,
    )
    grid_profit: float = parameter(
        "number", "Profit per grid", "Distance of two levels, before fees.", unit="%", least=0.01, most=50, default=1.0
    )
    window: int = parameter(
        "whole", "Resting orders a side", "Only the nearest levels have an order.", least=1, most=100, default=10
    )


@dataclass(frozen=True)
class Params(conditions.Conditions, Levels):
    """Fields of the bases from the last to the first: levels, then conditions."""


def slots(params: Params) -> int:
    """One for each level of the window, those of the conditions, one for the lower edge."""
    return 2 * params.window + 1 + conditions.SLOTS + 1


def vector(params: Params, terms: Terms) -> Column:
    slot = 2 * params.window + 1
    numbers = [*conditions.head(params, slot), params.lower, 1.0 + params.grid_profit / 100.0, params.window]
    return np.array(numbers, np.float64)


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    lowest = ("lower", params.lower)
    problems = conditions.check(params, allocation, lowest, lowest)
    ratio = 1.0 + params.grid_profit / 100.0
    # A cycle buys at p and sells at p r: net r - 1 - maker (1 + r).
    if ratio - 1.0 <= terms.maker * (1.0 + ratio):
        problems["grid_profit"] = (
            f"grid_profit: a step of {params.grid_profit:.3g} % is below twice the fee {100 * terms.maker:.3g} %: "
            "every cycle would lose."
        )
    # Levels are closest at the lowest price; rounded to one tick, neighbours would trade with each other for ever.
    elif params.lower * (ratio - 1.0) < terms.tick:
        problems["lower"] = (
            f"lower must be at least {terms.tick / (ratio - 1.0):.6g} for levels of {params.grid_profit:.3g} % that "
            f"are a tick ({terms.tick:.15g}) apart, not {params.lower:.15g}."
        )
    # The largest slice there can be: everything bought, nothing reserved.
    largest = allocation * (1.0 - 1.0 / ratio)
    if largest < terms.min_cost:
        problems["allocation"] = (
            f"allocation must be above {terms.min_cost / (1.0 - 1.0 / ratio):.6g} for orders of the market's minimum "
            f"value {terms.min_cost:.15g}, not {allocation:.15g}."
        )
    return problems


@kernel
def level_price(run: Any, setup: Any, params: Any, level: float) -> float:
    return float(round_to_step(run["memory"][_FIRST_PRICE] * params[_RATIO] ** level, setup["tick"]))


@kernel
def slice_above(run: Any, setup: Any, params: Any, level: float) -> float:
    """Base amount traded between a level and the one above it."""
    price = run["memory"][_FIRST_PRICE] * params[_RATIO] ** level
    return float(floor_to_step(run["memory"][_VALUE] / price * (1.0 - 1.0 / params[_RATIO]), setup["lot"]))


@kernel
def want(run: Any, orders: Any, setup: Any, params: Any, notes: Any, level: float) -> None:
    """Want the order of a level, a buy below the current one, a sell above; each level has its slot in a ring."""
    slot = int(level % (2.0 * params[_WINDOW] + 1.0))
    price = level_price(run, setup, params, level)
    if level > run["memory"][_LEVEL]:
        amount = slice_above(run, setup, params, level - 1.0)
        place(run, orders, setup, notes, slot, LIMIT, SELL, price, amount, GRID)
    elif level < run["memory"][_LEVEL] and price >= params[_LOWER]:
        place(run, orders, setup, notes, slot, LIMIT, BUY, price, slice_above(run, setup, params, level), GRID)
    else:
        cancel(orders, slot)


@kernel
def reserve(run: Any, setup: Any, params: Any) -> float:
    """What the buys of all levels down to the lowest price cost, without fees, as a multiple of the constant value."""
    share, level = 0.0, -1.0
    at = level_price(run, setup, params, level)
    while at >= params[_LOWER]:
        share += at / (run["memory"][_FIRST_PRICE] * params[_RATIO] ** level)
        level -= 1.0
        at = level_price(run, setup, params, level)
    return float(share * (1.0 - 1.0 / params[_RATIO]))


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Share the money between what is bought now and what is reserved for the way down."""
    price = run["price"]
    fee = 1.0 + max(setup["maker"], setup["taker"])
    run["memory"][_FIRST_PRICE] = price
    bought = dearest(setup, price) / price
    run["memory"][_VALUE] = setup["allocation"] / (fee * (bought + reserve(run, setup, params)))
    note(run, notes, STARTED, -1, run["memory"][_VALUE])
    place(run, orders, setup, notes, market_slot(params), MARKET, BUY, 0.0, run["memory"][_VALUE] / price, START)
    alarm(run, orders, market_slot(params) + conditions.SLOTS, SELL, params[_LOWER], BELOW)
    watch_exits(run, orders, setup, params)


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    if may_start(run, orders, params, notes):
        begin(run, orders, setup, params, notes)


@kernel
def move(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """A level was reached: it is the current one now, the one left behind gets the counter order, the window moves."""
    memory = run["memory"]
    left = memory[_LEVEL]
    if trade["side"] == SELL:
        memory[_LEVEL] = left + 1.0
        bought_at = level_price(run, setup, params, left)
        amount = trade["amount"]
        fees = trade["fee"] + ceil_to_step(amount * bought_at * setup["maker"], setup["fee_step"])
        memory[_PROFIT] += amount * (trade["price"] - bought_at) - fees
        memory[_CYCLES] += 1.0
        far = memory[_LEVEL] + params[_WINDOW]
    else:
        memory[_LEVEL] = left - 1.0
        far = memory[_LEVEL] - params[_WINDOW]
    want(run, orders, setup, params, notes, left)
    want(run, orders, setup, params, notes, far)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == GRID:
        move(run, orders, setup, params, notes, trade)
        follow_equity(run, orders, setup, params)
    elif tag == START:
        for distance in range(1, int(params[_WINDOW]) + 1):
            want(run, orders, setup, params, notes, -float(distance))
            want(run, orders, setup, params, notes, float(distance))
        follow_equity(run, orders, setup, params)
    elif tag == TRIGGER:
        begin(run, orders, setup, params, notes)
    elif tag == BELOW:
        at_edge(run, orders, params, notes, trade)
    elif tag in (STOP_LOSS, TAKE_PROFIT):
        reached(run, orders, setup, params, notes, trade)


@kernel
def at_edge(run: Any, orders: Any, params: Any, notes: Any, trade: Any) -> None:
    """Say that the price fell below the lowest price or is back."""
    left = trade["side"] == SELL
    note(run, notes, LEFT_BELOW if left else CAME_BACK, -1, trade["price"])
    # Back is one level inside, so that a price on the edge does not tell the same story every minute.
    back = params[_LOWER] * params[_RATIO]
    alarm(run, orders, trade["slot"], BUY if left else SELL, back if left else params[_LOWER], BELOW)


KIND = Kind(
    slug="infinity_grid",
    label="Infinity grid",
    summary="A grid without an upper price: keeps the value of what it holds constant and sells every rise.",
    suits="Suits a market that rises over months with swings on the way. A long fall leaves it holding.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=conditions.judge,
    example={"lower": 80.0},
    tags=TAGS,
    reasons={
        "grid": "the price touched a grid level",
        "start": "it starts by holding its constant value",
        **conditions.REASONS,
    },
    notes={
        STARTED: "Started at {price}: it keeps {value} in quote invested and reserves the rest for the way down.",
        LEFT_BELOW: "The price fell to the lowest price {value}: no more buys, it waits for a rise.",
        CAME_BACK: "The price is above the lowest price again, at {value}.",
        **conditions.NOTES,
    },
    warnings=conditions.WARNINGS | {LEFT_BELOW},
)
