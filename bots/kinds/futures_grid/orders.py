"""Which orders a futures grid wants: at the start, after a fill, when an alarm rings."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, end, note, place
from bots.engine.types import BUY, LIMIT, MARKET, SELL
from bots.kinds.futures_grid.cells import entry_line, exit_line, first_side, need, passed, weight
from bots.kinds.futures_grid.layout import (
    ABOVE,
    ABOVE_SLOT,
    BELOW,
    BELOW_SLOT,
    CAME_BACK,
    CLOSE,
    CYCLES,
    DIRECTION,
    GRID,
    HIGH_EXIT,
    HIGH_SLOT,
    LEFT_ABOVE,
    LEFT_BELOW,
    LINES,
    LOW_EXIT,
    LOW_SLOT,
    MARKET_SLOT,
    OPENS,
    PROFIT,
    SIZE,
    START,
    STARTED,
    STARTED_AT,
    STOP_LOSS,
    STOP_LOSS_HIT,
    TABLE,
    TAKE_PROFIT,
    TAKE_PROFIT_HIT,
    TRIGGER,
    TRIGGER_PRICE,
    TRIGGER_SLOT,
    WAITING,
    WAITS,
)
from bots.risk import NOISE
from markets.precision import ceil_to_step, floor_to_step


@kernel
def amount_of(run: Any, setup: Any, params: Any, cell: int, side: int) -> float:
    """Base amount of a cell's entry."""
    return float(floor_to_step(run["memory"][SIZE] * weight(params, cell, side), setup["lot"]))


@kernel
def enter(run: Any, orders: Any, setup: Any, params: Any, notes: Any, cell: int, side: int) -> None:
    amount = amount_of(run, setup, params, cell, side)
    place(run, orders, setup, notes, cell, LIMIT, side, entry_line(params, cell, side), amount, GRID)


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Size the cells for the price now and let them enter; those that the price has passed enter at market, or wait."""
    cells, price, memory = int(params[LINES]) - 1, run["price"], run["memory"]
    memory[SIZE] = setup["allocation"] / need(params, setup, price)
    memory[STARTED_AT] = price
    note(run, notes, STARTED, -1, memory[SIZE])
    total = 0.0
    for cell in range(cells):
        side = first_side(params, cell, price)
        if not passed(params, cell, side, price):
            enter(run, orders, setup, params, notes, cell, side)
        elif params[OPENS] != 0.0:
            total += amount_of(run, setup, params, cell, side)
        else:
            # It enters when the price has left the cell at its far end and comes back.
            alarm(run, orders, cell, side, exit_line(params, cell, side), WAITING)
    if total > 0.0:
        place(run, orders, setup, notes, cells + MARKET_SLOT, MARKET, int(params[DIRECTION]), 0.0, total, START)
    if params[LOW_EXIT] > 0.0:
        tag = TAKE_PROFIT if params[DIRECTION] < 0.0 else STOP_LOSS
        alarm(run, orders, cells + LOW_SLOT, SELL, params[LOW_EXIT], tag)
    if params[HIGH_EXIT] > 0.0:
        tag = TAKE_PROFIT if params[DIRECTION] > 0.0 else STOP_LOSS
        alarm(run, orders, cells + HIGH_SLOT, BUY, params[HIGH_EXIT], tag)
    watch_edges(run, orders, params)


@kernel
def opened(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The position of the start is there: its cells leave at their exits, as far as it reaches."""
    cells, price, covered = int(params[LINES]) - 1, run["memory"][STARTED_AT], 0.0
    for cell in range(cells):
        side = first_side(params, cell, price)
        if not passed(params, cell, side, price):
            continue
        amount = amount_of(run, setup, params, cell, side)
        covered += amount
        if covered <= abs(run["position"]) * (1.0 + NOISE):
            place(run, orders, setup, notes, cell, LIMIT, -side, exit_line(params, cell, side), amount, GRID)


@kernel
def turn(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """A cell has entered: it leaves at its exit. It has left: it enters again."""
    cell = trade["slot"]
    side = first_side(params, cell, run["memory"][STARTED_AT])
    if trade["side"] == side:
        place(run, orders, setup, notes, cell, LIMIT, -side, exit_line(params, cell, side), trade["amount"], GRID)
        return
    count_cycle(run, setup, params, trade, side)
    enter(run, orders, setup, params, notes, cell, side)


@kernel
def count_cycle(run: Any, setup: Any, params: Any, trade: Any, side: int) -> None:
    """Grid profit of a matched pair: the exit against an entry at the cell's own line, both fees paid."""
    amount, line = trade["amount"], entry_line(params, trade["slot"], side)
    fees = trade["fee"] + ceil_to_step(amount * line * setup["maker"], setup["fee_step"])
    run["memory"][PROFIT] += amount * side * (trade["price"] - line) - fees
    run["memory"][CYCLES] += 1.0


@kernel
def watch_edges(run: Any, orders: Any, params: Any) -> None:
    """Ask to be told when the price leaves the range, to say why nothing trades. Beyond an edge: when it is back.

    Back is one line inside, so that a price on the edge does not tell the same story every minute.
    """
    cells, price = int(params[LINES]) - 1, run["price"]
    if price >= params[TABLE + cells]:
        alarm(run, orders, cells + ABOVE_SLOT, SELL, params[TABLE + cells - 1], ABOVE)
    else:
        alarm(run, orders, cells + ABOVE_SLOT, BUY, params[TABLE + cells], ABOVE)
    if price <= params[TABLE]:
        alarm(run, orders, cells + BELOW_SLOT, BUY, params[TABLE + 1], BELOW)
    else:
        alarm(run, orders, cells + BELOW_SLOT, SELL, params[TABLE], BELOW)


@kernel
def at_edge(run: Any, orders: Any, params: Any, notes: Any, trade: Any) -> None:
    left = (trade["tag"] == ABOVE) == (trade["side"] == BUY)
    code = CAME_BACK if not left else LEFT_ABOVE if trade["tag"] == ABOVE else LEFT_BELOW
    note(run, notes, code, trade["slot"], trade["price"])
    watch_edges(run, orders, params)


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    trigger = params[TRIGGER_PRICE]
    if trigger > 0.0 and trigger != price:
        slot = int(params[LINES]) - 1 + TRIGGER_SLOT
        alarm(run, orders, slot, BUY if trigger > price else SELL, trigger, TRIGGER)
        note(run, notes, WAITS, slot, trigger)
    else:
        begin(run, orders, setup, params, notes)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    slot = int(params[LINES]) - 1 + MARKET_SLOT
    if tag == GRID:
        turn(run, orders, setup, params, notes, trade)
    elif tag == START:
        opened(run, orders, setup, params, notes)
    elif tag == WAITING:
        enter(run, orders, setup, params, notes, trade["slot"], int(params[DIRECTION]))
    elif tag == TRIGGER:
        begin(run, orders, setup, params, notes)
    elif tag in (ABOVE, BELOW):
        at_edge(run, orders, params, notes, trade)
    elif tag == STOP_LOSS:
        end(run, orders, setup, notes, slot, True, STOP_LOSS_HIT, CLOSE)
    elif tag == TAKE_PROFIT:
        end(run, orders, setup, notes, slot, True, TAKE_PROFIT_HIT, CLOSE)
