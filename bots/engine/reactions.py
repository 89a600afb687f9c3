"""A run that reacts to what its exchange does: events in, trades and notes out, and what it wants of the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from bots.engine import react as kernel
from bots.engine.matching import most_fills
from bots.engine.programs import bound, signatures
from bots.engine.protection import due_time
from bots.engine.react import (
    CIRCLED,
    CLOSED,
    ENDED,
    EVENT,
    EXECUTED,
    FUNDED,
    OPENED,
    SENT,
    TAKEN_OVER,
    TOUCHED,
    TURNED,
)
from bots.engine.run import Engine, Records
from bots.engine.types import ALARM, LIQUIDATION, NEVER, NEW, NONE, NOTE, ORDER, RUN, SETUP, TRADE, TRAIL
from markets.series import Column

if TYPE_CHECKING:
    from bots.kinds.contract import Kind

NO_INPUTS = np.empty(0)
# Trades one event may bring, and a scratch record; notes: a kind says a few things at a time.
_TRADES, _NOTES = 4, 64


@dataclass(frozen=True, slots=True)
class Booked:
    """What executions of an order that were booked already add up to: base, quote, quote, quote."""

    amount: float = 0.0
    cost: float = 0.0
    fee: float = 0.0
    realized: float = 0.0

    def and_one(self, price: float, amount: float, fee: float, realized: float) -> Booked:
        """With one more execution."""
        cost = self.cost + price * amount
        return Booked(self.amount + amount, cost, self.fee + fee, self.realized + realized)


NOTHING_BOOKED = Booked()


@dataclass(frozen=True, slots=True)
class Placed:
    """Whose execution it is: what the exchange was asked for. type and side as in bots.engine.types."""

    sequence: int
    type: int
    side: int
    tag: int
    limit: float


@lru_cache(maxsize=64)
def program(kind: Kind) -> Callable[..., None]:
    """react() bound to a kind's functions, compiled on first use (from the cache on disk after set-up)."""
    return bound(kernel.react, kind, _signature)


def _signature() -> Any:
    runs, orders, setups, notes, trades, events = (
        types.Array(numba.from_dtype(dtype), 1, "C") for dtype in (RUN, ORDER, SETUP, NOTE, TRADE, EVENT)
    )
    numbers = types.Array(types.float64, 1, "C", readonly=True)
    pointers = (types.FunctionType(function) for function in signatures()[:3])
    return types.void(*pointers, runs, orders, setups, numbers, notes, trades, events, numbers)


def event(code: int, time: int, price: float, **figures: float) -> Records:
    """One EVENT record, shape (1,)."""
    record = np.zeros(1, EVENT)
    record["code"], record["time"], record["price"] = code, time, price
    for name, value in figures.items():
        record[name] = value
    return record


def opened(time: int, price: float) -> Records:
    return event(OPENED, time, price)


def turned(time: int, price: float) -> Records:
    return event(TURNED, time, price)


def touched(time: int, price: float, slot: int) -> Records:
    return event(TOUCHED, time, price, slot=slot)


def circled(time: int, price: float, count: int) -> Records:
    return event(CIRCLED, time, price, value=count)


def closed(time: int, price: float, signal: int = 0, quiet: bool = False) -> Records:
    """quiet: nothing was told between this close and the one before."""
    return event(CLOSED, time, price, signal=signal, quiet=quiet)


def executed(
    time: int,
    price: float,
    order: Placed,
    at: int,
    paid: float,
    amount: float,
    fee: float,
    done: bool,
    before: Booked = NOTHING_BOOKED,
) -> Records:
    """An execution. price: where the market is; paid: what it was done at; at: ms UTC; done: the order is complete."""
    record = _of_order(EXECUTED, time, price, order, before)
    record["executed"], record["paid"], record["amount"], record["fee"], record["done"] = at, paid, amount, fee, done
    return record


def ended(time: int, price: float, order: Placed, before: Booked = NOTHING_BOOKED) -> Records:
    """The exchange rejected an order or canceled what was left of it."""
    record = _of_order(ENDED, time, price, order, before)
    record["executed"] = time
    return record


def taken_over(time: int, price: float, side: int, at: int, paid: float, amount: float, fee: float) -> Records:
    """The exchange liquidated the position; figures as of an execution."""
    return event(TAKEN_OVER, time, price, side=side, executed=at, paid=paid, amount=amount, fee=fee)


def funded(time: int, price: float, rate: float, paid: float) -> Records:
    """Funding settled at the open of a bar, at `price`. paid: quote, negative when received; 0 for no position."""
    return event(FUNDED, time, price, value=rate, fee=paid)


def _of_order(code: int, time: int, price: float, order: Placed, before: Booked) -> Records:
    return event(
        code, time, price, sequence=order.sequence, type=order.type, side=order.side, tag=order.tag,
        limit=order.limit, before_amount=before.amount, before_cost=before.cost, before_fee=before.fee,
        before_realized=before.realized,
    )  # fmt: skip


def react(engine: Engine, happened: Records, inputs: Column = NO_INPUTS) -> tuple[Records, Records]:
    """Let a run react to an event. Returns the trades (TRADE) and notes (NOTE) that came of it."""
    trades, notes = np.zeros(_TRADES, TRADE), np.empty(_NOTES + len(engine.orders), NOTE)
    run = engine.run
    run["trades"] = run["notes"] = 0
    program(engine.kind)(run, engine.orders, engine.setup, engine.vector, notes, trades, happened, inputs)
    count, said = int(run["trades"][0]), int(run["notes"][0])
    run["trades"] = run["notes"] = 0
    return trades[:count], notes[:said]


def alerts(engine: Engine) -> list[tuple[int, int, float]]:
    """(slot, side, price) of what is triggered on our side: alarms, and trailing stops that were not touched yet.

    Side BUY is touched from below, SELL from above.
    """
    orders = engine.orders
    own = (orders["type"] == ALARM) | ((orders["type"] == TRAIL) & (orders["cost"] != SENT))
    return [(int(slot), int(orders["side"][slot]), float(orders["price"][slot])) for slot in np.flatnonzero(own)]


def to_send(engine: Engine) -> Records:
    """Slots of the orders that are to be on the exchange."""
    orders = engine.orders
    kind = orders["type"]
    real = (kind > NONE) & (kind != ALARM) & (kind != LIQUIDATION)
    return np.flatnonzero(real & ((kind != TRAIL) | (orders["cost"] == SENT)))


def due(engine: Engine) -> int:
    """Open time of the bar whose begin the run must be told of, ms UTC."""
    run = engine.run[0]
    return 0 if run["status"] == NEW else int(due_time(run, engine.setup[0], NEVER))


def most_events(engine: Engine) -> int:
    """Bound of what may happen in one bar; beyond it the kind is taken to run in circles."""
    return int(most_fills(len(engine.orders)))
