"""When a bot starts and when it ends: trigger price, stop loss, take profit, and what becomes of the position.

A stop loss or take profit is a price, an amount of quote lost or won, or a percent of the allocation. Equity, cash +
position × price, is linear in the price between two fills. So an amount or percent is a price too,
p = (level − cash) / position, and its alarm moves there after every fill. The fee of the closing sale comes on top.

With a delay the level must hold: it is judged at each close from the touch on, withdrawn when the price is back, and
acted upon at the first close that is at least the delay after the candle of the touch. The sale is then at the next
open.

Shared layout: the parameter vector of a kind begins with head(), which says from which slot on SLOTS belong to the
conditions; a kind's tags are made by tags(), its own notes begin with FIRST_NOTE, the end of the memory is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bots.engine.kernel import kernel
from bots.engine.orders import alarm, cancel, end, note
from bots.engine.types import BUY, KIND_NOTE, MEMORY, NEVER, SELL
from bots.kinds.parameters import Problems, parameter
from markets.precision import round_to_step

START, TRIGGER, STOP_LOSS, TAKE_PROFIT, CLOSE, FIRST_TAG = range(2, 8)  # 1 is the tag of the kind's usual orders
WAITING, STOP_LOSS_HIT, TAKE_PROFIT_HIT, STOP_LOSS_WAITS, TAKE_PROFIT_WAITS, WITHDRAWN, FIRST_NOTE = range(
    KIND_NOTE, KIND_NOTE + 7
)
NOTES: Final = {
    WAITING: "Waiting for the price to reach the trigger at {value}; it is {price}.",
    STOP_LOSS_HIT: "Stop loss reached at {price}: all orders withdrawn, the bot ends.",
    TAKE_PROFIT_HIT: "Take profit reached at {price}: all orders withdrawn, the bot ends.",
    STOP_LOSS_WAITS: "Stop loss touched at {price}: the bot ends if it holds for {value} s.",
    TAKE_PROFIT_WAITS: "Take profit touched at {price}: the bot ends if it holds for {value} s.",
    WITHDRAWN: "The price came back to {price} before the delay was over: the bot goes on.",
}
REASONS: Final = {"close": "the bot ended and sells what it holds"}
WARNINGS: Final = frozenset({STOP_LOSS_HIT, STOP_LOSS_WAITS})

# Layout of the head of the parameter vector. An exit is named by where its level is; how it is meant and its delay
# in ms follow.
(_SLOT, _TRIGGER, _STOP, _STOP_BY, _STOP_DELAY, _PROFIT, _PROFIT_BY, _PROFIT_DELAY, _SELL_AT_END, FIELDS) = range(10)
_BY, _DELAY = 1, 2
_PRICE, _AMOUNT, _RATIO = range(3)
_WAYS: Final = ("price", "amount", "ratio")
# Layout of the memory: open time from which on a touched exit is due, 0 when it is not touched; how far the stop rose.
_STOP_DUE, _PROFIT_DUE, _STOP_RISE = MEMORY - 1, MEMORY - 2, MEMORY - 3
# Slots behind the first: the market order of start and end, then the alarms.
_TRIGGER_SLOT, _STOP_SLOT, _PROFIT_SLOT, SLOTS = range(1, 5)


def tags(usual: str, *more: str) -> tuple[str, ...]:
    """The tags of a kind: what its usual orders are for, those of the conditions, its further ones from FIRST_TAG."""
    return ("", usual, "start", "trigger", "stop loss", "take profit", "close", *more)


def _exit(label: str, help: str) -> Any:
    return parameter("number", label, help, unit="quote or %", least=1e-12, default=None)


def _way(label: str, help: str) -> Any:
    choices = (("price", "A price"), ("amount", "An amount of quote"), ("ratio", "Percent of the allocation"))
    return parameter("choice", label, help, choices=choices, default="price")


def _delay(label: str) -> Any:
    help = "The level must hold so long, at every close. 0 acts at the first touch."
    return parameter("whole", label, help, unit="s", least=0, most=2_592_000, default=0)


@dataclass(frozen=True)
class Conditions:
    """The parameters; a kind inherits them behind its own."""

    trigger_price: float | None = parameter(
        "price", "Trigger price", "Wait for this price before starting.", unit="quote", least=1e-12, default=None
    )
    stop_loss: float | None = _exit("Stop loss", "End the bot at this price or loss.")
    stop_loss_by: str = _way("Stop loss by", "What the stop loss is: a price below the range, or a loss.")
    stop_loss_delay: int = _delay("Stop loss delay")
    take_profit: float | None = _exit("Take profit", "End the bot at this price or profit.")
    take_profit_by: str = _way("Take profit by", "What the take profit is: a price above the range, or a profit.")
    take_profit_delay: int = _delay("Take profit delay")
    sell_at_end: bool = parameter(
        "flag", "Sell at the end", "Sell the position at stop loss or take profit; else keep it.", default=True
    )


def head(params: Conditions, slot: int) -> list[float]:
    """The first FIELDS numbers of a kind's parameter vector; slot: the first of the conditions'."""
    return [
        slot,
        params.trigger_price or 0.0,
        *_exit_numbers(params.stop_loss, params.stop_loss_by, params.stop_loss_delay),
        *_exit_numbers(params.take_profit, params.take_profit_by, params.take_profit_delay),
        params.sell_at_end,
    ]


def _exit_numbers(level: float | None, way: str, delay: int) -> tuple[float, float, float]:
    size = (level or 0.0) / (100.0 if way == "ratio" else 1.0)
    return size, _WAYS.index(way), delay * 1000.0


def check(params: Conditions, allocation: float, lowest: tuple[str, float], highest: tuple[str, float]) -> Problems:
    """Sentences about exits that do not fit. lowest, highest: name and price of the ends of the range."""
    problems: Problems = {}
    for name in ("stop_loss", "take_profit"):
        if getattr(params, name) is None and getattr(params, f"{name}_delay"):
            problems[f"{name}_delay"] = f"{name}_delay needs a {name}."
    stop, profit = params.stop_loss, params.take_profit
    if stop is not None:
        most, words = {
            "price": (lowest[1], f"{lowest[0]} ({lowest[1]:.15g})"),
            "amount": (allocation, f"the allocation ({allocation:.15g})"),
            "ratio": (100.0, "100 %"),
        }[params.stop_loss_by]
        if stop >= most:
            problems["stop_loss"] = f"stop_loss must be below {words}, not {stop:.15g}."
    if profit is not None and params.take_profit_by == "price" and profit <= highest[1]:
        problems["take_profit"] = f"take_profit must be above {highest[0]} ({highest[1]:.15g}), not {profit:.15g}."
    return problems


@kernel
def market_slot(params: Any) -> int:
    return int(params[_SLOT])


@kernel
def dearest(setup: Any, price: float) -> float:
    """Most that a market buy pays at a price, quote per base: slippage, and rounding up to the tick."""
    slipped = price * (1.0 + setup["slippage"])
    return float(max(slipped, round_to_step(slipped, setup["tick"])))


@kernel
def may_start(run: Any, orders: Any, params: Any, notes: Any) -> bool:
    """True when there is no trigger to wait for; else an alarm with the tag TRIGGER will ring."""
    trigger = params[_TRIGGER]
    if trigger <= 0.0 or trigger == run["price"]:
        return True
    slot = market_slot(params) + _TRIGGER_SLOT
    alarm(run, orders, slot, BUY if trigger > run["price"] else SELL, trigger, TRIGGER)
    note(run, notes, WAITING, slot, trigger)
    return False


@kernel
def threshold(run: Any, setup: Any, params: Any, which: int) -> float:
    """The price at which an exit acts: at or below it a stop loss, at or above it a take profit.

    Infinite in the other direction when no price can reach the level: it is not set, or nothing is held.
    """
    sign = -1.0 if which == _STOP else 1.0
    size, way = params[which], params[which + _BY]
    if size <= 0.0:
        return sign * np.inf
    if way == _PRICE:
        return float(size + run["memory"][_STOP_RISE] if which == _STOP else size)
    level = setup["allocation"] + sign * (size if way == _AMOUNT else size * setup["allocation"])
    if run["position"] > 0.0:
        return float((level - run["cash"]) / run["position"])
    return float(run["price"] if sign * (run["cash"] - level) >= 0.0 else sign * np.inf)


@kernel
def aim(run: Any, orders: Any, setup: Any, params: Any, which: int) -> None:
    """Put the alarm of an exit where its threshold is now, unless it is touched and waits for its delay."""
    stops = which == _STOP
    if run["memory"][_STOP_DUE if stops else _PROFIT_DUE] != 0.0:
        return
    slot = market_slot(params) + (_STOP_SLOT if stops else _PROFIT_SLOT)
    price = threshold(run, setup, params, which)
    if np.isfinite(price):
        alarm(run, orders, slot, SELL if stops else BUY, price, STOP_LOSS if stops else TAKE_PROFIT)
    else:
        cancel(orders, slot)


@kernel
def watch_exits(run: Any, orders: Any, setup: Any, params: Any) -> None:
    """Begin to watch stop loss and take profit."""
    aim(run, orders, setup, params, _STOP)
    aim(run, orders, setup, params, _PROFIT)


@kernel
def follow_equity(run: Any, orders: Any, setup: Any, params: Any) -> None:
    """After a fill: exits by amount or ratio are at another price now."""
    if params[_STOP_BY] != _PRICE:
        aim(run, orders, setup, params, _STOP)
    if params[_PROFIT_BY] != _PRICE:
        aim(run, orders, setup, params, _PROFIT)


@kernel
def stop_price(params: Any) -> float:
    """The stop loss as it was set when it is a price, else 0."""
    return float(params[_STOP] if params[_STOP_BY] == _PRICE else 0.0)


@kernel
def raise_stop(run: Any, orders: Any, setup: Any, params: Any, rise: float) -> None:
    """Let a stop loss by price lie so much above where it was set."""
    run["memory"][_STOP_RISE] = rise
    aim(run, orders, setup, params, _STOP)


@kernel
def reached(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """React to the alarms STOP_LOSS and TAKE_PROFIT: end, or wait for the delay."""
    stops = trade["tag"] == STOP_LOSS
    delay = params[(_STOP if stops else _PROFIT) + _DELAY]
    code = STOP_LOSS_HIT if stops else TAKE_PROFIT_HIT
    if delay > 0.0:
        run["memory"][_STOP_DUE if stops else _PROFIT_DUE] = run["time"] + delay
        run["wake_time"] = run["time"]
        note(run, notes, STOP_LOSS_WAITS if stops else TAKE_PROFIT_WAITS, trade["slot"], delay / 1000.0)
    else:
        end(run, orders, setup, notes, market_slot(params), params[_SELL_AT_END] != 0.0, code, CLOSE)


@kernel
def judge(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    """on_bar: at a close while an exit waits for its delay."""
    memory = run["memory"]
    run["wake_time"] = NEVER
    for which in (_STOP, _PROFIT):
        at = _STOP_DUE if which == _STOP else _PROFIT_DUE
        if memory[at] == 0.0:
            continue
        price = threshold(run, setup, params, which)
        if not (run["price"] <= price if which == _STOP else run["price"] >= price):
            memory[at] = 0.0
            aim(run, orders, setup, params, which)
            note(run, notes, WITHDRAWN, -1, run["price"])
        elif run["time"] >= memory[at]:
            code = STOP_LOSS_HIT if which == _STOP else TAKE_PROFIT_HIT
            end(run, orders, setup, notes, market_slot(params), params[_SELL_AT_END] != 0.0, code, CLOSE)
            run["wake_time"] = NEVER
            return
        else:
            run["wake_time"] = run["time"]
