"""The cells of a futures grid: what each enters with, where, and how much money all of them take.

A cell lies between two lines. It enters at one of them and leaves at the other, over and over: one that buys first
enters at the lower line, one that sells first at the upper line. A long grid has only cells of the first sort, a short
grid only of the second; a neutral one has the first below the price it started at and the second above it.
"""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import kernel
from bots.engine.types import BUY, SELL
from bots.kinds.futures_grid.layout import DIRECTION, LINES, OPENS, QUOTE_SIZED, TABLE


@kernel
def first_side(params: Any, cell: int, price: float) -> int:
    """The side a cell enters with in a grid that started at `price`; the line nearest to it gets no order."""
    if params[DIRECTION] != 0.0:
        return int(params[DIRECTION])
    return BUY if params[TABLE + cell] + params[TABLE + cell + 1] < 2.0 * price else SELL


@kernel
def entry_line(params: Any, cell: int, side: int) -> float:
    return float(params[TABLE + cell] if side == BUY else params[TABLE + cell + 1])


@kernel
def exit_line(params: Any, cell: int, side: int) -> float:
    return float(params[TABLE + cell + 1] if side == BUY else params[TABLE + cell])


@kernel
def passed(params: Any, cell: int, side: int, price: float) -> bool:
    """True when an order at the cell's entry would be filled at once."""
    return bool(side * (entry_line(params, cell, side) - price) >= 0.0)


@kernel
def weight(params: Any, cell: int, side: int) -> float:
    """Base amount of a cell for a size of 1."""
    return float(1.0 / entry_line(params, cell, side) if params[QUOTE_SIZED] != 0.0 else 1.0)


@kernel
def side_need(params: Any, setup: Any, price: float, side: int) -> float:
    """Equity that the cells of one side take for a size of 1, in a grid that starts at `price`.

    The initial margin of what is held and of all entries that wait must never exceed the equity, or an entry would be
    refused. It is judged whenever a cell re-enters: the price is at that cell's exit, the cells before it hold, at a
    loss, and the ones behind it wait. Profits of cycles only add to the equity, so they are left out.
    """
    cells, leverage, taker = int(params[LINES]) - 1, setup["leverage"], setup["taker"]
    margin, fee = 1.0 + leverage * taker, max(setup["maker"], taker)
    opened = price * (1.0 + side * setup["slippage"])
    pending = begin = 0.0
    for cell in range(cells):
        if first_side(params, cell, price) != side:
            continue
        part = weight(params, cell, side)
        pending += part * entry_line(params, cell, side) * margin
        if params[OPENS] != 0.0 and passed(params, cell, side, price):
            begin += part * (max(price, opened) * margin + leverage * setup["slippage"] * price)
        else:
            begin += part * entry_line(params, cell, side) * margin
    most, held, cost, fees = begin, 0.0, 0.0, 0.0
    for number in range(cells):
        cell = cells - 1 - number if side == BUY else number
        if first_side(params, cell, price) != side:
            continue
        now, line, part = exit_line(params, cell, side), entry_line(params, cell, side), weight(params, cell, side)
        lost = side * (cost - held * now) + fees
        most = max(most, pending + held * now + leverage * lost)
        paid = opened if params[OPENS] != 0.0 and passed(params, cell, side, price) else line
        pending -= part * line * margin
        held += part
        cost += part * paid
        fees += part * paid * fee
    return float(most / leverage)


@kernel
def need(params: Any, setup: Any, price: float) -> float:
    """Equity that a size of 1 takes in a grid that starts at `price`: buys and sells carry margin side by side."""
    return float(max(side_need(params, setup, price, BUY), side_need(params, setup, price, SELL)))
