"""What protects a run from its kind and from the market: limits that hold its entries or end it, and liquidation.

Limits are judged at the closes of bars and after fills, so they cost an idle bar next to nothing. A held order is
still wanted: it neither works nor fills, and comes back under a new identity when the limit lets it go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bots.engine.kernel import inlined, kernel
from bots.engine.ledger import apply
from bots.engine.orders import cancel_all, end, note
from bots.engine.types import (
    BUY,
    DRAWDOWN_HIT,
    HELD_AFTER_LOSS,
    HELD_DAILY_LOSS,
    LIQUIDATED,
    LIQUIDATION,
    NEVER,
    NONE,
    RELEASED,
    RUNNING,
    SELL,
    STOPPED,
)
from bots.risk import is_entry
from markets.precision import ceil_to_step, floor_to_step

DAY = 86_400_000


@kernel
def hold(run: Any, orders: Any, notes: Any, until: int, code: int, value: float) -> None:
    """Hold all entries until a time, ms UTC."""
    if until <= run["held_until"]:
        return
    run["held_until"] = until
    note(run, notes, code, -1, value)
    for slot in range(len(orders)):
        if orders[slot]["type"] > NONE and is_entry(run, orders[slot]):
            orders[slot]["type"] = -orders[slot]["type"]


@kernel
def release(run: Any, orders: Any, notes: Any) -> None:
    """Let the held orders work, as placed at the price now."""
    run["held_until"] = 0
    note(run, notes, RELEASED, -1, 0.0)
    for slot in range(len(orders)):
        order = orders[slot]
        if order["type"] < NONE:
            order["type"] = -order["type"]
            order["placed"] = run["price"]
            run["sequence"] += 1
            order["sequence"] = run["sequence"]


@inlined
def after_fill(run: Any, orders: Any, setup: Any, notes: Any, trade: Any) -> None:
    """Before the kind reacts: pause after a loss, and move the price of liquidation."""
    if setup["loss_cooldown"] > 0.0 and trade["realized"] < 0.0:
        until = run["time"] + int(setup["loss_cooldown"])
        hold(run, orders, notes, until, HELD_AFTER_LOSS, setup["loss_cooldown"] / 1000.0)
    if setup["leverage"] > 0.0:
        margin(run, orders, setup)


@inlined
def open_day(run: Any, setup: Any) -> None:
    """Remember the equity at the begin of a UTC day: what the daily loss is measured against."""
    if run["time"] >= run["day_end"]:
        run["day_equity"] = run["cash"] + run["position"] * run["price"]
        run["day_end"] = run["time"] // DAY * DAY + DAY


@inlined
def floor_of(run: Any, setup: Any) -> float:
    """Equity at or below which, at a close, a limit acts."""
    floor = -np.inf
    if setup["max_drawdown"] > 0.0:
        floor = run["peak"] * (1.0 - setup["max_drawdown"])
    if setup["max_daily_loss"] > 0.0 and run["held_until"] < run["day_end"]:
        floor = max(floor, run["day_equity"] - setup["max_daily_loss"])
    return float(floor)


@inlined
def judge(run: Any, orders: Any, setup: Any, notes: Any) -> bool:
    """At a close: hold the entries or end the run when a limit is reached. True when one is."""
    equity = run["cash"] + run["position"] * run["price"]
    run["peak"] = max(run["peak"], equity)
    if run["status"] != RUNNING or equity > floor_of(run, setup):
        return False
    fall = 1.0 - equity / run["peak"]
    if setup["max_drawdown"] > 0.0 and equity <= run["peak"] * (1.0 - setup["max_drawdown"]):
        keep = setup["keep_at_drawdown"] != 0.0
        end(run, orders, setup, notes, 0, not keep, DRAWDOWN_HIT, setup["close_tag"])
        notes[run["notes"] - 1]["value"] = 100.0 * fall
    else:
        hold(run, orders, notes, run["day_end"], HELD_DAILY_LOSS, run["day_equity"] - equity)
    return True


@inlined
def due_time(run: Any, setup: Any, funding: float) -> int:
    """Open time from which on a bar is more than its prices: the kind waits for it, a limit ends, a day begins."""
    due = min(run["wake_time"] if run["status"] == RUNNING else NEVER, funding)
    if run["held_until"] > 0:
        due = min(due, run["held_until"])
    if setup["max_daily_loss"] > 0.0:
        due = min(due, run["day_end"])
    return int(due)


@kernel
def margin(run: Any, orders: Any, setup: Any) -> None:
    """Place the exchange's own order: at its price the maintenance margin is all that is left.

    Long q: cash + q p = m q p, p = −cash / (q (1 − m)); short: p = cash / (|q| (1 + m)). It has the last slot.
    """
    position, cash = run["position"], run["cash"]
    order = orders[len(orders) - 1]
    order["type"] = NONE
    if position == 0.0:
        return
    side = SELL if position > 0.0 else BUY
    price = cash / (-position + abs(position) * setup["maintenance"])
    if price <= 0.0:
        return  # a long that is paid for in full
    order["type"] = LIQUIDATION
    order["side"] = side
    order["tag"] = 0
    order["sequence"] = 0
    order["price"] = price
    order["amount"] = abs(position)
    order["cost"] = order["filled"] = order["distance"] = order["placed"] = 0.0


@kernel
def liquidate(run: Any, orders: Any, setup: Any, notes: Any, trades: Any, slot: int) -> None:
    """The exchange takes the position over, and all that is left of the margin as its fee; the run ends.

    Beyond the price at which the margin is used up the loss is the exchange's: isolated margin.
    """
    position, tick = run["position"], setup["tick"]
    bankrupt = -run["cash"] / position
    if position > 0.0:
        price = ceil_to_step(max(run["price"], bankrupt), tick)
    else:
        price = floor_to_step(min(run["price"], bankrupt), tick)
    # Two large figures all but cancel out: their noise must not cost a step.
    noise = min(1e-14 * abs(position) * price, 0.25 * setup["fee_step"])
    fee = max(floor_to_step(run["cash"] + position * price + noise, setup["fee_step"]), 0.0)
    trade = trades[run["trades"]]
    trade["time"] = run["time"]
    trade["slot"] = slot
    trade["sequence"] = run["sequence"] = run["sequence"] + 1
    trade["type"] = LIQUIDATION
    trade["side"] = SELL if position > 0.0 else BUY
    trade["tag"] = 0
    trade["limit"] = orders[slot]["price"]
    trade["price"] = price
    trade["amount"] = abs(position)
    trade["fee"] = fee
    trade["realized"] = apply(run, trade["side"], price, abs(position), fee, setup["lot"])
    run["trades"] += 1
    run["fills"] += 1
    orders[slot]["type"] = NONE
    cancel_all(orders)
    run["status"] = STOPPED
    note(run, notes, LIQUIDATED, slot, position)
