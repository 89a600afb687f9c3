"""Accumulation: buys for the same money again and again, whatever the price; more after a fall when asked to.

The first purchase follows the first candle, the others whole intervals later, each decided at the close of the first
candle that opens at or after its time and bought at the next open. Times that passed without a candle are not made up
for. With a multiplier m, a purchase `fall` below the last one is m times as large as that one was, up to `cap` times
the amount; a price above the average returns to the amount.
"""

from __future__ import annotations

from typing import Any, Final

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import cancel, cancel_all, end, note, place, place_cost
from bots.engine.types import BUY, KIND_NOTE, LIMIT, SELL, STOP
from bots.kinds.accumulation.params import (
    V_AMOUNT,
    V_CAP,
    V_FALL,
    V_INTERVAL,
    V_LOSS,
    V_MAX_PRICE,
    V_MIN_PRICE,
    V_MULTIPLIER,
    V_PROFIT,
    V_PURCHASES,
    V_STARTS_OVER,
    V_TOTAL,
    Params,
    check,
    slots,
    vector,
)
from bots.kinds.contract import Kind

TAGS: Final = ("", "purchase", "take profit", "stop loss", "close")
PURCHASE, TAKE_PROFIT, STOP_LOSS, CLOSE = range(1, 5)
TOO_DEAR, TOO_CHEAP, GROWS, STARTS_OVER, SPENT_HOLDS, SPENT_ENDS, PROFIT_ENDS, LOSS_ENDS = range(
    KIND_NOTE, KIND_NOTE + 8
)

_BUY_SLOT, _EXIT_SLOT, _STOP_SLOT = range(3)
# Layout of the memory.
(
    _SCHEDULE,  # time of the first purchase, ms
    _BUDGET,  # quote to spend in this round, fees included
    _SPENT,  # of it
    _COUNT,  # purchases of the round
    _LAST_PRICE,
    _MULTIPLE,  # of the amount, of the last purchase
    _ASKED,  # quote of the purchase under way
    _ASKED_MULTIPLE,
    _HELD_FEES,  # quote paid to buy what is held
    _SKIPPING,  # note of why nothing is bought, 0 for none
) = range(10)

# A rest below this part of a purchase, left by rounding to lots, is not worth one: the money counts as spent.
_CRUMB = 0.01


@kernel
def begin_round(run: Any, params: Any) -> None:
    """Nothing is bought yet: all the money is there to be spent."""
    memory = run["memory"]
    memory[_BUDGET] = params[V_TOTAL] if params[V_TOTAL] > 0.0 else run["cash"]
    memory[_SPENT] = memory[_COUNT] = memory[_LAST_PRICE] = memory[_HELD_FEES] = 0.0
    memory[_MULTIPLE] = 1.0


@kernel
def next_size(run: Any, setup: Any, params: Any, multiple: float) -> float:
    """Quote of the next purchase: `multiple` times the amount, less when the money ends, 0 when it is spent."""
    memory = run["memory"]
    if params[V_PURCHASES] > 0.0 and memory[_COUNT] >= params[V_PURCHASES]:
        return 0.0
    size = min(params[V_AMOUNT] * multiple, memory[_BUDGET] - memory[_SPENT], run["cash"])
    least = max(setup["min_cost"] * (1.0 + setup["taker"]), _CRUMB * params[V_AMOUNT])
    return float(size) if size >= least else 0.0


@kernel
def next_multiple(run: Any, params: Any) -> float:
    """How many times the amount to buy for, from the price now, the last purchase and the average."""
    last = run["memory"][_MULTIPLE]
    if run["position"] <= 0.0 or run["price"] > run["cost"] / run["position"]:
        return 1.0
    if run["price"] <= run["memory"][_LAST_PRICE] * (1.0 - params[V_FALL]):
        return float(min(last * params[V_MULTIPLIER], params[V_CAP]))
    return float(last)


@kernel
def skips(run: Any, params: Any, notes: Any) -> bool:
    """True when the price is not one to buy at; said once, until it is again."""
    dear, cheap = run["price"] > params[V_MAX_PRICE], run["price"] < params[V_MIN_PRICE]
    code = TOO_DEAR if dear else TOO_CHEAP if cheap else 0
    if code != 0 and run["memory"][_SKIPPING] != code:
        note(run, notes, code, _BUY_SLOT, params[V_MAX_PRICE] if dear else params[V_MIN_PRICE])
    run["memory"][_SKIPPING] = float(code)
    return code != 0


@kernel
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Place the exits for all that is held, in the place of the old ones."""
    cancel(orders, _EXIT_SLOT)
    cancel(orders, _STOP_SLOT)
    if params[V_PROFIT] > 0.0:
        target = (run["cost"] + run["memory"][_HELD_FEES]) * (1.0 + params[V_PROFIT]) / run["position"]
        place(run, orders, setup, notes, _EXIT_SLOT, LIMIT, SELL, target, run["position"], TAKE_PROFIT)
    if params[V_LOSS] > 0.0:
        stop = run["cost"] / run["position"] * (1.0 - params[V_LOSS])
        place(run, orders, setup, notes, _STOP_SLOT, STOP, SELL, stop, run["position"], STOP_LOSS)


@kernel
def bought(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    memory = run["memory"]
    memory[_SPENT] += memory[_ASKED]
    memory[_MULTIPLE] = memory[_ASKED_MULTIPLE]
    memory[_COUNT] += 1.0
    memory[_LAST_PRICE] = trade["price"]
    memory[_HELD_FEES] += trade["fee"]
    guard(run, orders, setup, params, notes)
    if next_size(run, setup, params, 1.0) > 0.0:
        return
    if params[V_PROFIT] > 0.0 or params[V_LOSS] > 0.0:
        note(run, notes, SPENT_HOLDS, _BUY_SLOT, memory[_SPENT])
    else:
        end(run, orders, setup, notes, _BUY_SLOT, False, SPENT_ENDS, CLOSE)


@kernel
def took_profit(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    cancel_all(orders)
    if params[V_STARTS_OVER] == 0.0:
        end(run, orders, setup, notes, _BUY_SLOT, False, PROFIT_ENDS, CLOSE)
        return
    begin_round(run, params)
    note(run, notes, STARTS_OVER, _BUY_SLOT, run["memory"][_BUDGET])


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    run["memory"][_SCHEDULE] = float(run["time"])
    run["wake_time"] = run["time"]
    begin_round(run, params)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == PURCHASE:
        bought(run, orders, setup, params, notes, trade)
    elif tag == TAKE_PROFIT:
        took_profit(run, orders, setup, params, notes)
    elif tag == STOP_LOSS:
        end(run, orders, setup, notes, _BUY_SLOT, False, LOSS_ENDS, CLOSE)


@inlined
def on_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    """The close at which the next purchase is due."""
    since = run["time"] - int(run["memory"][_SCHEDULE])
    interval = int(params[V_INTERVAL])
    run["wake_time"] = run["time"] - since % interval + interval
    if next_size(run, setup, params, 1.0) > 0.0 and not skips(run, params, notes):
        buy(run, orders, setup, params, notes)


@kernel
def buy(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    memory = run["memory"]
    multiple = next_multiple(run, params)
    if multiple > memory[_MULTIPLE]:
        note(run, notes, GROWS, _BUY_SLOT, multiple)
    memory[_ASKED_MULTIPLE] = multiple
    memory[_ASKED] = next_size(run, setup, params, multiple)
    place_cost(run, orders, setup, notes, _BUY_SLOT, BUY, memory[_ASKED], PURCHASE)


KIND = Kind(
    slug="accumulation",
    label="Accumulation",
    summary="Buys for the same money at fixed intervals, more after a fall if wanted.",
    suits="Suits building a position over weeks or months, whatever the price does.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=on_bar,
    example={"amount": 100.0},
    tags=TAGS,
    reasons={
        "purchase": "it was time to buy",
        "take profit": "everything bought reached the profit",
        "stop loss": "the stop loss was touched",
        "close": "the bot ended and sells what it holds",
    },
    notes={
        TOO_DEAR: "Not bought: the price {price} is above the highest price {value}.",
        TOO_CHEAP: "Not bought: the price {price} is below the lowest price {value}.",
        GROWS: "The price fell to {price}: buying {value} times the amount.",
        STARTS_OVER: "The profit is taken; buying anew, with {value} to spend.",
        SPENT_HOLDS: "The purchases are done; holding for the exit.",
        SPENT_ENDS: "The purchases are done; the bot ends and keeps {value}.",
        PROFIT_ENDS: "The profit is taken; the bot ends.",
        LOSS_ENDS: "The stop loss was touched; the bot ends.",
    },
    warnings=frozenset({LOSS_ENDS}),
)
