"""Grid: buy low and sell high between two prices, over and over.

Convention of the count: `lines` counts price lines with both ends, so 20 lines make 19 grids (cells). A cell buys at
its lower line and sells at its upper line. At the start the cells whose lower line is at or above the price are
bought at once; the others wait with a buy. The line right above the price therefore has no order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit

from bots.engine.orders import alarm, end, note, place
from bots.engine.types import BUY, KIND_NOTE, LIMIT, MARKET, NONE, SELL, Terms
from bots.kinds.contract import Kind
from bots.kinds.parameters import Problems, parameter
from markets.precision import ceil_to_step, floor_to_step, round_to_step
from markets.series import Column

TAGS: Final = ("", "grid", "start", "trigger", "stop loss", "take profit", "close", "above", "below")
GRID, START, TRIGGER, STOP_LOSS, TAKE_PROFIT, CLOSE, ABOVE, BELOW = range(1, 9)

WAITING: Final = KIND_NOTE
STARTED: Final = KIND_NOTE + 1
STOP_LOSS_HIT: Final = KIND_NOTE + 2
TAKE_PROFIT_HIT: Final = KIND_NOTE + 3
LEFT_ABOVE: Final = KIND_NOTE + 4
LEFT_BELOW: Final = KIND_NOTE + 5
CAME_BACK: Final = KIND_NOTE + 6

# Layout of the parameter vector; the prices of the lines follow.
_LINES, _QUOTE_SIZED, _TRIGGER, _STOP_LOSS, _TAKE_PROFIT, _SELL_AT_END, _FIRST = range(7)
# Layout of the memory.
_SIZE, _PROFIT, _CYCLES = range(3)


@dataclass(frozen=True, slots=True)
class Params:
    lower: float = parameter("price", "Lower price", "Lowest price line.", unit="quote", least=1e-12)
    upper: float = parameter("price", "Upper price", "Highest price line.", unit="quote", least=1e-12)
    lines: int = parameter(
        "whole", "Price lines", "Both ends included: 20 lines make 19 grids.", least=2, most=1000, default=20
    )
    spacing: str = parameter(
        "choice",
        "Spacing",
        "Equal steps in price, or equal steps in percent.",
        choices=(("arithmetic", "Arithmetic"), ("geometric", "Geometric")),
        default="arithmetic",
    )
    size: str = parameter(
        "choice",
        "Order size",
        "The same amount of base, or the same value in quote, in every grid.",
        choices=(("base", "Equal base"), ("quote", "Equal quote")),
        default="base",
    )
    trigger_price: float | None = parameter(
        "price", "Trigger price", "Wait for this price before starting.", unit="quote", least=1e-12, default=None
    )
    stop_loss: float | None = parameter(
        "price", "Stop loss", "Below the lower price: end the bot there.", unit="quote", least=1e-12, default=None
    )
    take_profit: float | None = parameter(
        "price", "Take profit", "Above the upper price: end the bot there.", unit="quote", least=1e-12, default=None
    )
    sell_at_end: bool = parameter(
        "flag", "Sell at the end", "Sell the position at stop loss or take profit; else keep it.", default=True
    )


def lines_of(params: Params, tick: float) -> Column:
    """Prices of the lines, ascending, rounded to the tick.

    Arithmetic p_i = L + i (U − L) / n, geometric p_i = L (U / L)^(i / n), i = 0 … n, n = lines − 1.
    """
    part = np.arange(params.lines) / (params.lines - 1)
    if params.spacing == "arithmetic":
        prices = params.lower + (params.upper - params.lower) * part
    else:
        prices = params.lower * (params.upper / params.lower) ** part
    return np.array([round_to_step(price, tick) for price in prices])


def slots(params: Params) -> int:
    """One for each cell, then: start or close, trigger, stop loss, take profit, upper edge, lower edge."""
    return params.lines - 1 + 6


def vector(params: Params, terms: Terms) -> Column:
    head = [
        params.lines,
        params.size == "quote",
        params.trigger_price or 0.0,
        params.stop_loss or 0.0,
        params.take_profit or 0.0,
        params.sell_at_end,
    ]
    return np.concatenate([np.array(head, np.float64), lines_of(params, terms.tick)])


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    if params.upper <= params.lower:
        return {"upper": f"upper must be above lower ({params.lower:.15g}), not {params.upper:.15g}."}
    problems: Problems = {}
    if params.stop_loss is not None and params.stop_loss >= params.lower:
        problems["stop_loss"] = f"stop_loss must be below lower ({params.lower:.15g}), not {params.stop_loss:.15g}."
    if params.take_profit is not None and params.take_profit <= params.upper:
        problems["take_profit"] = (
            f"take_profit must be above upper ({params.upper:.15g}), not {params.take_profit:.15g}."
        )
    prices = lines_of(params, terms.tick)
    sentence = _lines_problem(params, prices, terms)
    if sentence:
        problems["lines"] = sentence
        return problems
    return problems | _money_problem(params, prices, terms, allocation)


def _lines_problem(params: Params, prices: Column, terms: Terms) -> str:
    """A sentence when lines fall together or a cycle cannot pay its two fees."""
    steps = np.diff(prices)
    if prices[0] <= 0.0 or steps.min() <= 0.0:
        return f"lines must leave at least one tick ({terms.tick:.15g}) between two lines; {params.lines} are too many."
    # Net profit of a cell from p to p + d: d − maker (2 p + d). The lowest rate is what matters.
    lower, upper = prices[:-1], prices[1:]
    worst = int(np.argmin((steps - terms.maker * (lower + upper)) / lower))
    if steps[worst] <= terms.maker * (lower[worst] + upper[worst]):
        step = 100 * steps[worst] / lower[worst]
        return (
            f"lines: a step of {step:.3g} % is below twice the fee {100 * terms.maker:.3g} %: "
            f"every cycle would lose; {params.lines} lines are too many for this range."
        )
    return ""


def _money_problem(params: Params, prices: Column, terms: Terms, allocation: float) -> Problems:
    """A sentence when the smallest order would be below what the market takes."""
    fee = 1.0 + max(terms.maker, terms.taker)
    cells = prices[:-1]
    size = allocation / (cells.sum() * fee) if params.size == "base" else allocation / (len(cells) * fee)
    amounts = np.full(len(cells), size) if params.size == "base" else size / cells
    least = max(terms.min_amount, terms.lot)
    smallest = min(floor_to_step(amount, terms.lot) for amount in amounts)
    cheapest = min(floor_to_step(a, terms.lot) * p for a, p in zip(amounts, cells, strict=True))
    if smallest > 0.0 and smallest >= least and cheapest >= terms.min_cost:
        return {}
    factor = max(least / amounts.min(), terms.min_cost / (amounts * cells).min())
    # One more lot an order pays for rounding down.
    needed = allocation * factor + len(cells) * terms.lot * float(prices[-1])
    return {
        "allocation": f"allocation must be about {needed:.6g} for {len(cells)} grids that reach the market's "
        f"minimum order (amount {least:.15g}, value {terms.min_cost:.15g}), not {allocation:.15g}."
    }


@njit(cache=True)
def amount_of(run: Any, setup: Any, params: Any, cell: int) -> float:
    """Base amount of a cell's order."""
    size = run["memory"][_SIZE]
    if params[_QUOTE_SIZED] != 0.0:
        size = size / params[_FIRST + cell]
    return float(floor_to_step(size, setup["lot"]))


@njit(cache=True)
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Size the cells for the price now, buy for those above it, place buys for those below."""
    cells = int(params[_LINES]) - 1
    price = run["price"]
    fee = 1.0 + max(setup["maker"], setup["taker"])
    need = 0.0
    for cell in range(cells):
        line = params[_FIRST + cell]
        # What one base unit in the cell costs: its line, or the price now when it is bought at once.
        need += fee * (price * (1.0 + setup["slippage"]) if line >= price else line)
    if params[_QUOTE_SIZED] != 0.0:
        run["memory"][_SIZE] = setup["allocation"] / (cells * fee * (1.0 + setup["slippage"]))
    else:
        run["memory"][_SIZE] = setup["allocation"] / need
    note(run, notes, STARTED, -1, run["memory"][_SIZE])
    bought = 0.0
    for cell in range(cells):
        if params[_FIRST + cell] >= price:
            bought += amount_of(run, setup, params, cell)
    if bought > 0.0:
        place(run, orders, setup, notes, cells, MARKET, BUY, 0.0, bought, START)
    for cell in range(cells):
        line = params[_FIRST + cell]
        if line < price:
            place(run, orders, setup, notes, cell, LIMIT, BUY, line, amount_of(run, setup, params, cell), GRID)
    if params[_STOP_LOSS] > 0.0:
        alarm(run, orders, cells + 2, SELL, params[_STOP_LOSS], STOP_LOSS)
    if params[_TAKE_PROFIT] > 0.0:
        alarm(run, orders, cells + 3, BUY, params[_TAKE_PROFIT], TAKE_PROFIT)
    watch_edges(run, orders, params)


@njit(cache=True)
def watch_edges(run: Any, orders: Any, params: Any) -> None:
    """Ask to be told when the price leaves the range, to say why nothing trades. Beyond an edge: when it is back.

    Back is one line inside, so that a price on the edge does not tell the same story every minute.
    """
    cells = int(params[_LINES]) - 1
    price = run["price"]
    if price >= params[_FIRST + cells]:
        alarm(run, orders, cells + 4, SELL, params[_FIRST + cells - 1], ABOVE)
    else:
        alarm(run, orders, cells + 4, BUY, params[_FIRST + cells], ABOVE)
    if price <= params[_FIRST]:
        alarm(run, orders, cells + 5, BUY, params[_FIRST + 1], BELOW)
    else:
        alarm(run, orders, cells + 5, SELL, params[_FIRST], BELOW)


@njit(cache=True)
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    trigger = params[_TRIGGER]
    if trigger > 0.0 and trigger != price:
        slot = int(params[_LINES])
        alarm(run, orders, slot, BUY if trigger > price else SELL, trigger, TRIGGER)
        note(run, notes, WAITING, slot, trigger)
    else:
        begin(run, orders, setup, params, notes)


@njit(cache=True)
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    cell = trade["slot"]
    if tag == GRID and trade["side"] == BUY:
        place(run, orders, setup, notes, cell, LIMIT, SELL, params[_FIRST + cell + 1], trade["amount"], GRID)
    elif tag == GRID:
        line = params[_FIRST + cell]
        count_cycle(run, setup, trade, line)
        place(run, orders, setup, notes, cell, LIMIT, BUY, line, amount_of(run, setup, params, cell), GRID)
    elif tag == START:
        for above in range(int(params[_LINES]) - 1):
            # The cells that begin() did not give a buy.
            if orders[above]["type"] == NONE:
                amount = amount_of(run, setup, params, above)
                place(run, orders, setup, notes, above, LIMIT, SELL, params[_FIRST + above + 1], amount, GRID)
    elif tag == TRIGGER:
        begin(run, orders, setup, params, notes)
    elif tag in (ABOVE, BELOW):
        left = (tag == ABOVE) == (trade["side"] == BUY)
        code = CAME_BACK if not left else LEFT_ABOVE if tag == ABOVE else LEFT_BELOW
        note(run, notes, code, cell, trade["price"])
        watch_edges(run, orders, params)
    elif tag == STOP_LOSS:
        end(run, orders, setup, notes, 0, params[_SELL_AT_END] != 0.0, STOP_LOSS_HIT, CLOSE)
    elif tag == TAKE_PROFIT:
        end(run, orders, setup, notes, 0, params[_SELL_AT_END] != 0.0, TAKE_PROFIT_HIT, CLOSE)


@njit(cache=True)
def count_cycle(run: Any, setup: Any, trade: Any, line: float) -> None:
    """Grid profit of a matched pair: the sell against a buy at the cell's lower line, both fees paid."""
    amount = trade["amount"]
    fees = trade["fee"] + ceil_to_step(amount * line * setup["maker"], setup["fee_step"])
    run["memory"][_PROFIT] += amount * (trade["price"] - line) - fees
    run["memory"][_CYCLES] += 1.0


KIND = Kind(
    slug="grid",
    label="Grid",
    summary="Buys low and sells high between two prices.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=None,
    example={"lower": 90.0, "upper": 110.0, "lines": 21},
    tags=TAGS,
    reasons={
        "grid": "the price touched a grid line",
        "start": "the cells above the price start filled",
        "close": "the bot ended and sells what it holds",
    },
    notes={
        WAITING: "Waiting for the price to reach the trigger at {value}; it is {price}.",
        STARTED: "Grid started at {price}: cells below it wait with buys, cells above it are bought now.",
        LEFT_ABOVE: "The price left the grid at the top, {value}: everything is sold, it waits for the price to fall.",
        LEFT_BELOW: "The price left the grid at the bottom, {value}: everything is bought, it waits for a rise.",
        CAME_BACK: "The price is back in the grid at {value}.",
        STOP_LOSS_HIT: "Stop loss touched at {price}: all orders withdrawn, the bot ends.",
        TAKE_PROFIT_HIT: "Take profit touched at {price}: all orders withdrawn, the bot ends.",
    },
    warnings=frozenset({STOP_LOSS_HIT, LEFT_ABOVE, LEFT_BELOW}),
)
