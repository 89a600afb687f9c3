"""The cells of a grid, each with a slot, an amount and the order it wants.

Cells are numbered from the lower price upwards; trailing up goes on behind the last, trailing down below 0. The grid
is the cells from LOW up to top_of() (not included): those below LINE wait with a buy, the others hold and wait with a
sell. The slots are a ring. A slot outside the window of resting orders is empty but keeps its cell's amount.
"""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import kernel
from bots.engine.orders import cancel, place
from bots.engine.types import BUY, LIMIT, SELL
from bots.kinds.conditions import dearest, market_slot
from bots.kinds.grid.layout import BELOW, GRID, LINES, LOW, POOL, QUOTE_SIZED, RISE, SIZE
from bots.kinds.grid.lines import line
from markets.precision import floor_to_step


@kernel
def room(params: Any) -> int:
    """Most cells the grid may have: those of the range and those that trailing down may add. They come first."""
    return market_slot(params)


@kernel
def top_of(run: Any, params: Any) -> int:
    """Number of the top line, and of the cell that would be above it."""
    return int(params[LINES] - 1.0 + run["memory"][RISE])


@kernel
def slot_of(params: Any, cell: int) -> int:
    return cell % room(params)


@kernel
def cell_in(run: Any, params: Any, slot: int) -> int:
    low = int(run["memory"][LOW])
    return low + (slot - low) % room(params)


@kernel
def fee_factor(setup: Any) -> float:
    """What is reserved for a buy, as a multiple of its cost."""
    return float(1.0 + max(setup["maker"], setup["taker"]))


@kernel
def size_cells(run: Any, setup: Any, params: Any) -> float:
    """Size of an order, base or quote, so that the allocation pays for every cell, those put aside included.

    A cell costs its line; one that is bought at once costs the price now, one that trailing down may add what a market
    order pays. A sale must also bring the money for the next buy at the lower line, where fees may exceed the step.
    """
    fee, price, best = fee_factor(setup), run["price"], dearest(setup, run["price"])
    need = 0.0
    for cell in range(-int(params[BELOW]), int(params[LINES]) - 1):
        at = line(setup, params, cell)
        held = cell >= 0 and at >= price
        cost = best if held else at if cell >= 0 else at * (1.0 + setup["slippage"]) + setup["tick"]
        gap = max(fee * at - line(setup, params, cell + 1) * (1.0 - setup["maker"]), 0.0) if held else 0.0
        if params[QUOTE_SIZED] != 0.0:
            need += fee * max(best / price, cost / at) + gap / at
        else:
            need += fee * cost + gap
    return float(setup["allocation"] / need)


@kernel
def amount_of(run: Any, setup: Any, params: Any, cell: int) -> float:
    """Base amount of a cell's order when nothing is reinvested."""
    size = run["memory"][SIZE]
    if params[QUOTE_SIZED] != 0.0:
        size = size / line(setup, params, cell)
    return float(floor_to_step(size, setup["lot"]))


@kernel
def want_buy(run: Any, orders: Any, setup: Any, params: Any, notes: Any, cell: int) -> None:
    if cell >= int(run["memory"][LOW]):
        slot = slot_of(params, cell)
        price = line(setup, params, cell)
        place(run, orders, setup, notes, slot, LIMIT, BUY, price, orders[slot]["amount"], GRID)


@kernel
def want_sell(run: Any, orders: Any, setup: Any, params: Any, notes: Any, cell: int) -> None:
    if cell < top_of(run, params):
        slot = slot_of(params, cell)
        price = line(setup, params, cell + 1)
        place(run, orders, setup, notes, slot, LIMIT, SELL, price, orders[slot]["amount"], GRID)


@kernel
def rest(run: Any, orders: Any, params: Any, cell: int) -> None:
    """Take the order of a cell off the book, when there is such a cell: it left the window."""
    if int(run["memory"][LOW]) <= cell < top_of(run, params):
        cancel(orders, slot_of(params, cell))


@kernel
def reinvested(run: Any, setup: Any, money: float, price: float) -> float:
    """What a cell's money and the pool buy at a price, fee included; what the lot leaves over is the pool."""
    memory, cost = run["memory"], price * fee_factor(setup)
    money += memory[POOL]
    amount = floor_to_step(money / cost, setup["lot"])
    memory[POOL] = money - amount * cost
    return float(amount)
