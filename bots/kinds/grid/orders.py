"""Which orders a grid wants: at the start, after a fill, when an alarm rings."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import note, place
from bots.engine.types import ALARM, BUY, MARKET
from bots.kinds.conditions import (
    START,
    STOP_LOSS,
    TAKE_PROFIT,
    TRIGGER,
    follow_equity,
    market_slot,
    may_start,
    reached,
    watch_exits,
)
from bots.kinds.grid.cells import (
    amount_of,
    cell_in,
    fee_factor,
    reinvested,
    rest,
    size_cells,
    slot_of,
    top_of,
    want_buy,
    want_sell,
)
from bots.kinds.grid.edges import at_edge, may_sink, move_down, move_up, watch_edges
from bots.kinds.grid.layout import (
    BUYS,
    CYCLES,
    DOWN,
    GRID,
    LEFT_BELOW,
    LINE,
    LINES,
    POOL,
    PROFIT,
    REINVEST,
    SELLS,
    SIZE,
    STARTED,
    UP,
)
from bots.kinds.grid.lines import line
from markets.precision import ceil_to_step


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Size the cells for the price now, buy for those above it, place buys for those below."""
    memory, cells, price = run["memory"], int(params[LINES]) - 1, run["price"]
    memory[SIZE] = size_cells(run, setup, params)
    memory[LINE] = float(cells)
    note(run, notes, STARTED, -1, memory[SIZE])
    bought = 0.0
    for cell in range(cells - 1, -1, -1):
        amount = amount_of(run, setup, params, cell)
        orders[slot_of(params, cell)]["amount"] = amount
        if line(setup, params, cell) >= price:
            memory[LINE] = float(cell)
            bought += amount
    if bought > 0.0:
        place(run, orders, setup, notes, market_slot(params), MARKET, BUY, 0.0, bought, START)
    first = int(memory[LINE])
    for cell in range(max(first - int(params[BUYS]), 0), first):
        want_buy(run, orders, setup, params, notes, cell)
    watch_exits(run, orders, setup, params)
    watch_edges(run, orders, setup, params)


@kernel
def started(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """What the cells above the price hold has been bought: sell it."""
    first = int(run["memory"][LINE])
    for cell in range(first, min(first + int(params[SELLS]), top_of(run, params))):
        want_sell(run, orders, setup, params, notes, cell)


@kernel
def bought(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """A cell holds now: it sells, and the window of resting orders moves down."""
    cell = cell_in(run, params, trade["slot"])
    run["memory"][LINE] = float(cell)
    if params[REINVEST] != 0.0 and trade["tag"] == GRID:
        fee = fee_factor(setup)
        run["memory"][POOL] += trade["amount"] * (trade["limit"] * fee - trade["price"]) - trade["fee"]
    # Less than the cell's when an exchange canceled the rest.
    orders[trade["slot"]]["amount"] = min(orders[trade["slot"]]["amount"], trade["amount"])
    rest(run, orders, params, cell + int(params[SELLS]))
    want_sell(run, orders, setup, params, notes, cell)
    want_buy(run, orders, setup, params, notes, cell - int(params[BUYS]))


@kernel
def sold(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """A cell has sold: it buys again, and the window of resting orders moves up."""
    cell = cell_in(run, params, trade["slot"])
    run["memory"][LINE] = float(cell + 1)
    count_cycle(run, setup, trade, line(setup, params, cell))
    if params[REINVEST] != 0.0:
        money = trade["amount"] * trade["price"] - trade["fee"]
        orders[trade["slot"]]["amount"] = reinvested(run, setup, money, line(setup, params, cell))
    rest(run, orders, params, cell - int(params[BUYS]))
    want_buy(run, orders, setup, params, notes, cell)
    want_sell(run, orders, setup, params, notes, cell + int(params[SELLS]))


@kernel
def count_cycle(run: Any, setup: Any, trade: Any, price: float) -> None:
    """Grid profit of a matched pair: the sell against a buy at the cell's lower line, both fees paid."""
    amount = trade["amount"]
    fees = trade["fee"] + ceil_to_step(amount * price * setup["maker"], setup["fee_step"])
    run["memory"][PROFIT] += amount * (trade["price"] - price) - fees
    run["memory"][CYCLES] += 1.0


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    if may_start(run, orders, params, notes):
        begin(run, orders, setup, params, notes)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if trade["type"] == ALARM:
        on_alarm(run, orders, setup, params, notes, trade)
    elif tag in (GRID, START, DOWN):
        on_trade(run, orders, setup, params, notes, trade)
        follow_equity(run, orders, setup, params)


@kernel
def on_trade(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    if trade["tag"] == START:
        started(run, orders, setup, params, notes)
    elif trade["side"] == BUY:
        bought(run, orders, setup, params, notes, trade)
    else:
        sold(run, orders, setup, params, notes, trade)
    if trade["tag"] == DOWN:
        watch_edges(run, orders, setup, params)
        if not may_sink(run, params):
            note(run, notes, LEFT_BELOW, trade["slot"], run["price"])


@kernel
def on_alarm(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == TRIGGER:
        begin(run, orders, setup, params, notes)
    elif tag == UP:
        move_up(run, orders, setup, params, notes)
    elif tag == DOWN:
        move_down(run, orders, setup, params, notes)
    elif tag in (STOP_LOSS, TAKE_PROFIT):
        reached(run, orders, setup, params, notes, trade)
    else:
        at_edge(run, orders, setup, params, notes, trade)
