"""Which orders a futures position wants: its entry, then its profits and stops, sized by what is held."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel_all, end, note, place, place_cost, place_trailing
from bots.engine.types import ALARM, BUY, LIMIT, NONE, SELL, STOP, TRAIL
from bots.kinds.futures_position.layout import (
    ACTIVATION,
    ARM,
    ARM_SLOT,
    AT_LIMIT,
    AT_TRIGGER,
    BREAK_EVEN,
    CLOSE,
    COUNT,
    DONE,
    ENTERED,
    ENTERED_AMOUNT,
    ENTRY,
    ENTRY_PRICE,
    ENTRY_SLOT,
    ENTRY_TYPE,
    FIRST_RUNG,
    LADDER,
    LOSS,
    POSITIONS,
    PROTECTED,
    REFUSED,
    REINVEST,
    RUNGS,
    RUNGS_DONE,
    SHARES,
    SIDE,
    SIZE,
    STOP_LOSS,
    STOP_SLOT,
    TAKE_PROFIT,
    TRAIL_BY,
    TRAIL_FROM,
    TRAIL_SLOT,
    TRAILING,
    TRAILS,
    TRIGGER,
    WAITS,
)
from markets.precision import floor_to_step


@kernel
def money(run: Any, setup: Any, params: Any) -> float:
    """Value of the next entry in quote; its margin and its fee are the part of the allocation that is to be used."""
    margin = params[SIZE] * (run["cash"] if params[REINVEST] != 0.0 else min(run["cash"], setup["allocation"]))
    return float(margin * setup["leverage"] / (1.0 + setup["leverage"] * setup["taker"]))


@kernel
def enter(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Place the entry; a bot that may not enter has nothing to wait for."""
    side, value, limit = int(params[SIDE]), money(run, setup, params), params[ENTRY_PRICE]
    if params[ENTRY_TYPE] == AT_LIMIT:
        # A short at a limit below the price sells at the price.
        worst = max(limit, run["price"]) if side == SELL else limit
        placed = place(run, orders, setup, notes, ENTRY_SLOT, LIMIT, side, limit, value / worst, ENTRY)
    else:
        placed = place_cost(run, orders, setup, notes, ENTRY_SLOT, side, value, ENTRY)
    if not placed:
        end(run, orders, setup, notes, ENTRY_SLOT, False, REFUSED, CLOSE)


@kernel
def seek(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Nothing is held: enter, or wait for the price at which to enter."""
    run["memory"][ENTERED_AMOUNT] = run["memory"][RUNGS_DONE] = 0.0
    price = params[ENTRY_PRICE]
    if params[ENTRY_TYPE] != AT_TRIGGER or price == run["price"]:
        enter(run, orders, setup, params, notes)
    else:
        alarm(run, orders, ENTRY_SLOT, BUY if price > run["price"] else SELL, price, TRIGGER)
        note(run, notes, WAITS, ENTRY_SLOT, price)


@kernel
def average(run: Any) -> float:
    """Price of the position."""
    return float(run["cost"] / abs(run["position"]))


@kernel
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """An entry was filled: place profits and stops for the position as it is now."""
    side, price, held = int(params[SIDE]), average(run), abs(run["position"])
    place_rungs(run, orders, setup, params, notes, price)
    if params[LOSS] > 0.0:
        at = price * (1.0 - side * params[LOSS])
        place(run, orders, setup, notes, STOP_SLOT, STOP, -side, at, held, STOP_LOSS)
    if params[ARM] > 0.0:
        alarm(run, orders, ARM_SLOT, side, price * (1.0 + side * params[ARM]), BREAK_EVEN)
    if params[TRAIL_BY] > 0.0:
        target = price * (1.0 + side * params[TRAIL_FROM])
        if side * (target - run["price"]) > 0.0:
            alarm(run, orders, TRAIL_SLOT, side, target, ACTIVATION)
        else:
            trail(run, orders, setup, params, notes)


@kernel
def place_rungs(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    """The ladder of profits that are still ahead; the last one closes what rounding has left of the shares."""
    side, entered, share, given = int(params[SIDE]), run["memory"][ENTERED_AMOUNT], 0.0, 0.0
    for rung in range(RUNGS):
        if params[LADDER + rung] == 0.0:
            break
        share += params[SHARES + rung]
        amount = floor_to_step(entered * share, setup["lot"]) - given
        given += amount
        if rung >= int(run["memory"][RUNGS_DONE]):
            target = price * (1.0 + side * params[LADDER + rung])
            place(run, orders, setup, notes, FIRST_RUNG + rung, LIMIT, -side, target, amount, TAKE_PROFIT)


@kernel
def trail(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    side = -int(params[SIDE])
    place_trailing(run, orders, setup, notes, TRAIL_SLOT, side, params[TRAIL_BY], abs(run["position"]), TRAILING)
    note(run, notes, TRAILS, TRAIL_SLOT, run["price"])


@kernel
def protect(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The profit is large enough: the stop moves to where both fees are paid."""
    side = int(params[SIDE])
    at = average(run) * (1.0 + side * 2.0 * setup["taker"])
    if side * (run["price"] - at) > 0.0:
        place(run, orders, setup, notes, STOP_SLOT, STOP, -side, at, abs(run["position"]), BREAK_EVEN)
        note(run, notes, PROTECTED, STOP_SLOT, at)


@kernel
def shrink(run: Any, orders: Any, setup: Any, notes: Any, slot: int) -> None:
    """Let a stop be for what is left: for more it would open a position on the other side."""
    order = orders[slot]
    if order["type"] == STOP or order["type"] == TRAIL:
        place(
            run, orders, setup, notes, slot, order["type"], order["side"], order["price"], abs(run["position"]),
            order["tag"], order["distance"],
        )  # fmt: skip


@kernel
def left(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """A profit or stop was filled: go on with what is left, or with the next position, or end."""
    if run["position"] != 0.0:
        shrink(run, orders, setup, notes, STOP_SLOT)
        shrink(run, orders, setup, notes, TRAIL_SLOT)
        return
    cancel_all(orders)
    run["memory"][COUNT] += 1.0
    if params[POSITIONS] > 0.0 and run["memory"][COUNT] >= params[POSITIONS]:
        end(run, orders, setup, notes, ENTRY_SLOT, False, DONE, CLOSE)
    else:
        seek(run, orders, setup, params, notes)


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    seek(run, orders, setup, params, notes)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == TRIGGER:
        enter(run, orders, setup, params, notes)
    elif tag == ENTRY:
        run["memory"][ENTERED_AMOUNT] += trade["amount"]
        note(run, notes, ENTERED, ENTRY_SLOT, average(run))
        guard(run, orders, setup, params, notes)
    elif tag == ACTIVATION:
        trail(run, orders, setup, params, notes)
    elif trade["type"] == ALARM:
        protect(run, orders, setup, params, notes)
    else:
        if tag == TAKE_PROFIT and orders[trade["slot"]]["type"] == NONE:
            run["memory"][RUNGS_DONE] = max(run["memory"][RUNGS_DONE], trade["slot"] - FIRST_RUNG + 1.0)
        left(run, orders, setup, params, notes)
