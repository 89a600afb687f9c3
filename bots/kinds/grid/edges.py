"""What a grid does at the ends of its range: trail the price, or say why nothing trades."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import kernel
from bots.engine.orders import alarm, cancel, note, place
from bots.engine.types import BUY, MARKET, SELL
from bots.kinds.conditions import SLOTS, market_slot, raise_stop, stop_price
from bots.kinds.grid.cells import amount_of, fee_factor, reinvested, rest, room, slot_of, top_of, want_buy
from bots.kinds.grid.layout import (
    ABOVE_EDGE,
    BELOW_EDGE,
    BUYS,
    CAME_BACK,
    DOWN,
    FIXED,
    GEOMETRIC,
    LEFT_ABOVE,
    LEFT_BELOW,
    LINE,
    LOW,
    MOVED_DOWN,
    MOVED_UP,
    POOL,
    REINVEST,
    RISE,
    STAYS,
    UP,
    UP_LIMIT,
    UPPER,
)
from bots.kinds.grid.lines import line
from markets.precision import FINE, order_fault


@kernel
def edge_slot(params: Any) -> int:
    """Slot of the alarm at the upper edge; the one at the lower edge follows."""
    return market_slot(params) + SLOTS


@kernel
def may_rise(run: Any, setup: Any, params: Any) -> bool:
    """True while the grid may still trail up."""
    memory = run["memory"]
    return bool(memory[FIXED] == 0.0 and line(setup, params, top_of(run, params) + 1) <= params[UP_LIMIT])


@kernel
def may_sink(run: Any, params: Any) -> bool:
    """True while there is money for another line below."""
    return bool(top_of(run, params) - run["memory"][LOW] < room(params))


@kernel
def watch_edges(run: Any, orders: Any, setup: Any, params: Any) -> None:
    """Ask to be told when the price leaves the range: to move the grid, or to say why nothing trades.

    Beyond an edge that cannot move: when it is back. Back is one line inside, so that a price on the edge does not
    tell the same story every minute.
    """
    memory, price = run["memory"], run["price"]
    low, high, above = int(memory[LOW]), top_of(run, params), edge_slot(params)
    if may_rise(run, setup, params):
        alarm(run, orders, above, BUY, line(setup, params, high + 1), UP)
    elif price >= line(setup, params, high):
        alarm(run, orders, above, SELL, line(setup, params, high - 1), ABOVE_EDGE)
    else:
        alarm(run, orders, above, BUY, line(setup, params, high), ABOVE_EDGE)
    if may_sink(run, params):
        alarm(run, orders, above + 1, SELL, line(setup, params, low - 1), DOWN)
    elif price <= line(setup, params, low):
        alarm(run, orders, above + 1, BUY, line(setup, params, low + 1), BELOW_EDGE)
    else:
        alarm(run, orders, above + 1, SELL, line(setup, params, low), BELOW_EDGE)


@kernel
def move_up(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Everything is sold and the price is a step above the top: the money of the lowest buy waits at the old top."""
    memory = run["memory"]
    low, high = int(memory[LOW]), top_of(run, params)
    if int(memory[LINE]) < high:
        # A sale was refused: what the top cell holds stays its own.
        alarm(run, orders, edge_slot(params), SELL, line(setup, params, high), ABOVE_EDGE)
        note(run, notes, LEFT_ABOVE, -1, line(setup, params, high + 1))
        return
    top, lowest = line(setup, params, high), orders[slot_of(params, low)]["amount"]
    pool = memory[POOL]
    if params[REINVEST] != 0.0:
        amount = reinvested(run, setup, lowest * line(setup, params, low) * fee_factor(setup), top)
    else:
        amount = amount_of(run, setup, params, high)
    if order_fault(amount, top, setup["min_amount"], setup["min_cost"]) != FINE:
        memory[POOL] = pool
        memory[FIXED] = 1.0
        note(run, notes, STAYS, -1, amount)
    else:
        cancel(orders, slot_of(params, low))
        memory[LOW], memory[LINE] = low + 1.0, high + 1.0
        memory[RISE] += 1.0
        orders[slot_of(params, high)]["amount"] = amount
        rest(run, orders, params, high - int(params[BUYS]))
        want_buy(run, orders, setup, params, notes, high)
        lift_stop(run, orders, setup, params, line(setup, params, high + 1))
        note(run, notes, MOVED_UP, -1, line(setup, params, high + 1))
        if not may_rise(run, setup, params):
            note(run, notes, LEFT_ABOVE, -1, line(setup, params, high + 1))
    watch_edges(run, orders, setup, params)


@kernel
def lift_stop(run: Any, orders: Any, setup: Any, params: Any, top: float) -> None:
    """Let a stop loss by price keep its distance to the top line: in price, or with equal percents in percent."""
    stop = stop_price(params)
    if stop > 0.0:
        rise = stop * (top / params[UPPER] - 1.0) if params[GEOMETRIC] != 0.0 else top - params[UPPER]
        raise_stop(run, orders, setup, params, rise)


@kernel
def move_down(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Everything is bought and the price is a step below the bottom: buy one more cell with money put aside.

    Where a limit holds or refuses buys it does not move before the price has been back.
    """
    memory = run["memory"]
    low = int(memory[LOW])
    slot, amount = slot_of(params, low - 1), amount_of(run, setup, params, low - 1)
    free = run["held_until"] == 0 and int(memory[LINE]) == low
    if free and place(run, orders, setup, notes, slot, MARKET, BUY, 0.0, amount, DOWN):
        memory[LOW] = low - 1.0
        note(run, notes, MOVED_DOWN, slot, line(setup, params, low - 1))
    else:
        alarm(run, orders, edge_slot(params) + 1, BUY, line(setup, params, low), BELOW_EDGE)
        note(run, notes, LEFT_BELOW, -1, line(setup, params, low - 1))


@kernel
def at_edge(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """Say that the price left the range or is back."""
    above = trade["tag"] == ABOVE_EDGE
    left = above == (trade["side"] == BUY)
    note(run, notes, CAME_BACK if not left else LEFT_ABOVE if above else LEFT_BELOW, trade["slot"], trade["price"])
    watch_edges(run, orders, setup, params)
