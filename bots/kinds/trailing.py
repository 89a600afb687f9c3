"""Trailing: buys when the price has turned up from its low, sells when it has turned down from its high.

A trailing buy follows the low and buys once the price is `buy_distance` above it. A trailing sell arms at a profit of
`sell_activation`, follows the high, and sells once the price is `sell_distance` below it. Then it starts over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel, end, note, place, place_cost, place_trailing, trailing_alarm
from bots.engine.types import BUY, KIND_NOTE, SELL, STOP, Terms
from bots.kinds.contract import Kind
from bots.kinds.parameters import Problems, parameter
from markets.series import Column

TAGS: Final = ("", "buy", "sell", "stop loss", "activation", "turn", "close")
BOUGHT, SOLD, STOP_LOSS, ACTIVATION, TURN, CLOSE = range(1, 7)
WAITS_TO_BUY, TRAILS_LOW, TOO_DEAR, WAITS_TO_SELL, TRAILS_HIGH, DONE = range(KIND_NOTE, KIND_NOTE + 6)

_TRADE, _STOP = range(2)  # slots
# Layout of the parameter vector.
_BUY_FIRST, _BUY_ACTIVATION, _BUY_DISTANCE, _BUY_LIMIT, _SELL_ACTIVATION, _SELL_DISTANCE, _LOSS, _CYCLES, _REINVEST = (
    range(9)
)
_COUNT = 0  # memory: cycles done


@dataclass(frozen=True, slots=True)
class Params:
    start_with: str = parameter(
        "choice",
        "Start with",
        "Wait for a turn to buy, or buy at once and trail the sale.",
        choices=(("buy", "A trailing buy"), ("sell", "Buying at once")),
        default="buy",
    )
    buy_distance: float = parameter(
        "number",
        "Buy distance",
        "Buy when the price is this far above its low.",
        unit="%",
        least=0.05,
        most=50,
        default=1.0,
    )
    buy_activation: float | None = parameter(
        "price",
        "Buy activation",
        "Follow the low only from this price downwards.",
        unit="quote",
        least=1e-12,
        default=None,
    )
    buy_limit: float | None = parameter(
        "price",
        "Highest buy price",
        "Never buy above it; wait for the next turn.",
        unit="quote",
        least=1e-12,
        default=None,
    )
    sell_activation: float = parameter(
        "number", "Sell activation", "Follow the high from this profit on.", unit="%", least=0, most=1000, default=2.0
    )
    sell_distance: float = parameter(
        "number",
        "Sell distance",
        "Sell when the price is this far below its high.",
        unit="%",
        least=0.05,
        most=50,
        default=1.0,
    )
    stop_loss: float | None = parameter(
        "number", "Stop loss", "Sell this far below the buy price.", unit="%", least=0.05, most=99, default=None
    )
    cycles: int = parameter(
        "whole", "Cycles", "End after so many sales; 0 goes on.", least=0, most=1_000_000, default=0
    )
    reinvest: bool = parameter(
        "flag", "Reinvest", "Buy with profits too; else with the allocation at most.", default=True
    )


def first_order(params: Params, terms: Terms, allocation: float) -> float:
    return allocation / ((1.0 + terms.slippage) * (1.0 + terms.taker))


def slots(params: Params) -> int:
    return 2


def vector(params: Params, terms: Terms) -> Column:
    return np.array(
        [
            params.start_with == "buy",
            params.buy_activation or 0.0,
            params.buy_distance / 100.0,
            params.buy_limit or 0.0,
            params.sell_activation / 100.0,
            params.sell_distance / 100.0,
            (params.stop_loss or 0.0) / 100.0,
            params.cycles,
            params.reinvest,
        ],
        np.float64,
    )


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems: Problems = {}
    # What is left of the activation when the price turns at once: both fees must fit in.
    turn = (1.0 + params.sell_activation / 100.0) * (1.0 - params.sell_distance / 100.0) - 1.0
    if params.sell_activation and turn <= 2.0 * terms.taker:
        problems["sell_activation"] = (
            f"sell_activation must leave more than the two fees of {100 * terms.taker:.3g} % after a turn of "
            f"{params.sell_distance:.3g} %, not {100 * turn:.3g} %: raise it or lower sell_distance."
        )
    if params.buy_limit and params.buy_activation and params.buy_limit < params.buy_activation:
        problems["buy_limit"] = (
            f"buy_limit must be at least buy_activation ({params.buy_activation:.15g}), not {params.buy_limit:.15g}."
        )
    least = terms.min_cost * (1.0 + terms.slippage) * (1.0 + terms.taker)
    if allocation < least:
        problems["allocation"] = (
            f"allocation must be at least the market's minimum order with its fee, {least:.8g}, not {allocation:.15g}."
        )
    return problems


@kernel
def buy(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Buy with everything there is, at the next price: a turn may lie between two ticks, and cost more than it."""
    money = run["cash"] if params[_REINVEST] != 0.0 else min(run["cash"], setup["allocation"])
    place_cost(run, orders, setup, notes, _TRADE, BUY, money, BOUGHT)


@kernel
def seek_low(run: Any, orders: Any, params: Any, notes: Any) -> None:
    """Wait for the activation price, or follow the low from now on.

    Above the highest buy price a turn buys nothing, and a rise is full of turns: wait for the price to come down to it.
    """
    activation = params[_BUY_ACTIVATION] if params[_BUY_ACTIVATION] > 0.0 else params[_BUY_LIMIT]
    if activation > 0.0 and run["price"] > activation:
        alarm(run, orders, _TRADE, SELL, activation, ACTIVATION)
        note(run, notes, WAITS_TO_BUY, _TRADE, activation)
    else:
        trailing_alarm(run, orders, _TRADE, BUY, params[_BUY_DISTANCE], TURN)
        note(run, notes, TRAILS_LOW, _TRADE, run["price"])


@kernel
def turned(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The price turned up: buy, unless it is above the limit."""
    limit = params[_BUY_LIMIT]
    if limit > 0.0 and run["price"] > limit:
        note(run, notes, TOO_DEAR, _TRADE, limit)
        seek_low(run, orders, params, notes)
    else:
        buy(run, orders, setup, params, notes)


@kernel
def hold(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    """Just bought: guard the position, and wait for the profit at which the sale starts to trail."""
    if params[_LOSS] > 0.0:
        stop = price * (1.0 - params[_LOSS])
        place(run, orders, setup, notes, _STOP, STOP, SELL, stop, run["position"], STOP_LOSS)
    target = price * (1.0 + params[_SELL_ACTIVATION])
    if target > run["price"]:
        alarm(run, orders, _TRADE, BUY, target, ACTIVATION)
        note(run, notes, WAITS_TO_SELL, _TRADE, target)
    else:
        trail_high(run, orders, setup, params, notes)


@kernel
def trail_high(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    place_trailing(run, orders, setup, notes, _TRADE, SELL, params[_SELL_DISTANCE], run["position"], SOLD)
    note(run, notes, TRAILS_HIGH, _TRADE, run["price"])


@kernel
def sold(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """A cycle is done: start over, or end."""
    cancel(orders, _TRADE)
    cancel(orders, _STOP)
    run["memory"][_COUNT] += 1.0
    if params[_CYCLES] > 0.0 and run["memory"][_COUNT] >= params[_CYCLES]:
        end(run, orders, setup, notes, _TRADE, False, DONE, CLOSE)
    else:
        seek_low(run, orders, params, notes)


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    if params[_BUY_FIRST] != 0.0:
        seek_low(run, orders, params, notes)
    else:
        buy(run, orders, setup, params, notes)


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag == TURN:
        turned(run, orders, setup, params, notes)
    elif tag == ACTIVATION and trade["side"] == SELL:
        seek_low(run, orders, params, notes)
    elif tag == ACTIVATION:
        trail_high(run, orders, setup, params, notes)
    elif tag == BOUGHT:
        hold(run, orders, setup, params, notes, trade["price"])
    elif tag in (SOLD, STOP_LOSS):
        sold(run, orders, setup, params, notes)


KIND = Kind(
    slug="trailing",
    label="Trailing",
    summary="Buys after the price has turned up from its low, sells after it has turned down from its high.",
    suits="Suits swings of several percent that you want to follow to their turn, not to guess.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    first_order=first_order,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=None,
    example={},
    tags=TAGS,
    reasons={
        "buy": "the price turned up from its low",
        "sell": "the price turned down from its high",
        "stop loss": "the stop loss was touched",
        "close": "the bot ended and sells what it holds",
    },
    notes={
        WAITS_TO_BUY: "Waiting for the price to fall to {value}; it is {price}.",
        TRAILS_LOW: "Following the low from {price} on.",
        TOO_DEAR: "The price turned at {price}, above the highest buy price {value}: not bought.",
        WAITS_TO_SELL: "Holding; the sale starts to trail at {value}.",
        TRAILS_HIGH: "Following the high from {price} on.",
        DONE: "All cycles are done; the bot ends.",
    },
)
