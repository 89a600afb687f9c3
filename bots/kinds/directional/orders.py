"""Which orders a directional kind wants: on a signal, in a position, after a fill."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel, cancel_all, note, place, place_cost
from bots.engine.types import BUY, LIMIT, MARKET, NEVER, NONE, SELL, STOP, TRAIL
from bots.kinds.directional.layout import (
    ACTIVATE,
    ACTIVATION,
    ASKED,
    ATR,
    ATRS,
    BY,
    BY_QUOTE,
    BY_RISK,
    CONTRADICTS,
    COOL_UNTIL,
    COOLDOWN,
    COOLS_DOWN,
    DISTANCE,
    EQUITY,
    EXIT,
    IS_HELD,
    LADDER,
    LONG,
    LONG_ENTRY,
    LONG_EXIT,
    LOSS,
    NEXT,
    NOT_KNOWN,
    PRICE,
    QUOTE,
    REVERSAL,
    REVERSE,
    RISK,
    SHORT,
    SHORT_ENTRY,
    SHORT_EXIT,
    SIZE,
    STOP_LOSS,
    STOP_SLOT,
    TAKE_PROFIT,
    TARGET_SLOT,
    TARGETS,
    TIME,
    TIME_LIMIT,
    TRADE_SLOT,
    TRAIL_SLOT,
    TRAILING,
)
from bots.risk import NOISE


@kernel
def held(run: Any) -> int:
    """Side of the position, 0 when there is none but float noise."""
    if abs(run["position"]) <= NOISE * run["memory"][SIZE]:
        return 0
    return BUY if run["position"] > 0.0 else SELL


@kernel
def stop_distance(params: Any, price: float, atr: float) -> float:
    """Of the stop loss from the entry, as a fraction of the price; 0 for none."""
    if params[ATRS] > 0.0:
        return float(params[ATRS] * atr / price)
    return float(params[LOSS])


@kernel
def money(run: Any, setup: Any, params: Any, side: int) -> float:
    """Quote money for a position, its entry fee included: never more than the margin allows."""
    fee = setup["taker"]
    leverage = max(setup["leverage"], 1.0)
    # Margin and fee together take the equity: n / leverage + n fee = equity.
    most = run["cash"] * leverage / (1.0 + leverage * fee)
    if side == BUY:
        most *= 1.0 + fee
    if params[BY] == BY_QUOTE:
        return float(min(most, params[QUOTE]))
    if params[BY] == BY_RISK:
        distance = stop_distance(params, run["price"], run["memory"][ATR]) + 2.0 * fee
        return float(min(most, run["cash"] * params[RISK] / distance))
    return float(most * params[EQUITY])


@kernel
def enter(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int) -> None:
    """Want a position at the next price."""
    run["memory"][NEXT] = 0.0
    if params[ATRS] > 0.0 and not run["memory"][ATR] > 0.0:
        note(run, notes, NOT_KNOWN, TRADE_SLOT, 0.0)
        return
    tag = LONG if side == BUY else SHORT
    place_cost(run, orders, setup, notes, TRADE_SLOT, side, money(run, setup, params, side), tag)
    if orders[TRADE_SLOT]["type"] < NONE:
        # A signal is for now: released hours later it would be another one.
        cancel(orders, TRADE_SLOT)
        note(run, notes, IS_HELD, TRADE_SLOT, 0.0)


@kernel
def leave(run: Any, orders: Any, setup: Any, notes: Any, tag: int) -> None:
    """Want the position gone at the next price."""
    cancel_all(orders)
    side = SELL if run["position"] > 0.0 else BUY
    place(run, orders, setup, notes, TRADE_SLOT, MARKET, side, 0.0, abs(run["position"]), tag)


@kernel
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int) -> None:
    """Place what leaves a fresh position: stop loss, trailing stop or the alarm that arms it, targets."""
    price, size = run["memory"][PRICE], abs(run["position"])
    distance = stop_distance(params, price, run["memory"][ATR])
    if distance > 0.0 and distance * side < 1.0:
        place(run, orders, setup, notes, STOP_SLOT, STOP, -side, price * (1.0 - side * distance), size, STOP_LOSS)
    if params[DISTANCE] > 0.0 and params[ACTIVATE] > 0.0:
        alarm(run, orders, TRAIL_SLOT, side, price * (1.0 + side * params[ACTIVATE]), ACTIVATION)
    elif params[DISTANCE] > 0.0:
        trail(run, orders, setup, params, notes, side, price)
    left, shares = size, 0.0
    for step in range(TARGETS):
        target, share = params[LADDER + step], params[LADDER + TARGETS + step]
        limit = price * (1.0 + side * target)
        if share == 0.0 or limit <= 0.0:
            break
        shares += share
        # The last of a full ladder takes what rounding left.
        amount = left if shares >= 1.0 - NOISE else size * share
        if place(run, orders, setup, notes, TARGET_SLOT + step, LIMIT, -side, limit, amount, TAKE_PROFIT):
            left -= orders[TARGET_SLOT + step]["amount"]


@kernel
def trail(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int, price: float) -> None:
    """A trailing stop whose best price so far is `price`."""
    distance = params[DISTANCE]
    trigger = price * (1.0 - side * distance)
    place(run, orders, setup, notes, TRAIL_SLOT, TRAIL, -side, trigger, abs(run["position"]), TRAILING, distance)


@kernel
def shrink(run: Any, orders: Any, setup: Any, notes: Any) -> None:
    """A target was hit: the stops are for what is left."""
    size = abs(run["position"])
    for slot in range(STOP_SLOT, TARGET_SLOT):
        order = orders[slot]
        if order["type"] == STOP or order["type"] == TRAIL:
            place(
                run, orders, setup, notes, slot, order["type"], order["side"], order["price"], size, order["tag"],
                order["distance"],
            )  # fmt: skip


@kernel
def left_position(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Nothing is held any more: withdraw the rest, and go on to the other side if that is what it was for."""
    cancel_all(orders)
    run["wake_time"] = NEVER
    side = int(run["memory"][NEXT])
    if side != 0:
        enter(run, orders, setup, params, notes, side)
    else:
        run["memory"][COOL_UNTIL] = run["time"] + params[COOLDOWN]


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    """Waits for its first signal."""


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag in (LONG, SHORT):
        run["memory"][PRICE], run["memory"][SIZE] = trade["price"], trade["amount"]
        guard(run, orders, setup, params, notes, trade["side"])
        if params[TIME] > 0.0:
            run["wake_time"] = int(run["memory"][ASKED] + params[TIME])
    elif tag == ACTIVATION:
        trail(run, orders, setup, params, notes, trade["side"], run["price"])
    elif held(run) == 0:
        left_position(run, orders, setup, params, notes)
    elif tag == TAKE_PROFIT:
        shrink(run, orders, setup, notes)


@kernel
def turn(run: Any, orders: Any, setup: Any, params: Any, notes: Any, asked: int, side: int) -> None:
    """A signal while a position of `side` is held."""
    out, other, other_out = (LONG_EXIT, SHORT_ENTRY, SHORT_EXIT) if side == BUY else (SHORT_EXIT, LONG_ENTRY, LONG_EXIT)
    exits = asked & out != 0
    enters = asked & other != 0 and asked & other_out == 0
    if enters and (exits or params[REVERSE] != 0.0):
        run["memory"][NEXT] = -side
        leave(run, orders, setup, notes, REVERSAL)
    elif exits:
        leave(run, orders, setup, notes, EXIT)


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any, asked: int) -> None:
    """A signal while nothing is held."""
    entries = asked & (LONG_ENTRY | SHORT_ENTRY)
    if entries == 0:
        return
    side = BUY if entries == LONG_ENTRY else SELL
    if entries == LONG_ENTRY | SHORT_ENTRY or asked & (LONG_EXIT if side == BUY else SHORT_EXIT) != 0:
        note(run, notes, CONTRADICTS, TRADE_SLOT, 0.0)
    elif run["time"] < run["memory"][COOL_UNTIL]:
        note(run, notes, COOLS_DOWN, TRADE_SLOT, run["memory"][COOL_UNTIL])
    else:
        enter(run, orders, setup, params, notes, side)


@inlined
def on_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    side = held(run)
    if signal != 0:
        # The time limit counts from the candle that asked, and the stop is its average range away.
        run["memory"][ASKED] = run["time"]
        if params[ATRS] > 0.0:
            run["memory"][ATR] = inputs[0]
        if side == 0:
            begin(run, orders, setup, params, notes, signal)
        else:
            turn(run, orders, setup, params, notes, signal, side)
    if run["time"] >= run["wake_time"]:
        run["wake_time"] = NEVER
        if side != 0 and orders[TRADE_SLOT]["type"] != MARKET:
            leave(run, orders, setup, notes, TIME_LIMIT)
