"""A kind that does at each close what a test wrote down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from bots.engine.orders import cancel, place, place_cost
from bots.engine.run import Engine
from bots.engine.simulate import NO_FUNDING, Seen, step
from bots.engine.types import BUY, LIMIT, MARKET, SELL, STOP, TRAIL, Limits, Terms
from bots.kinds import KINDS

SLOTS = 4
MARGIN = Terms(margin=True, maintenance=0.1)
TYPES = {"limit": LIMIT, "market": MARKET, "stop": STOP, "trail": TRAIL, "cost": -1.0, "cancel": 0.0}
SIDES = {"buy": BUY, "sell": SELL}


@njit
def do_nothing(run, orders, setup, params, notes, price):
    pass


@njit
def ignore(run, orders, setup, params, notes, trade):
    pass


@njit
def obey(run, orders, setup, params, notes, signal, inputs):
    """inputs: type, side, price or distance, amount or cost, slot."""
    kind, side, price, amount, slot = int(inputs[0]), int(inputs[1]), inputs[2], inputs[3], int(inputs[4])
    if kind == -1:
        place_cost(run, orders, setup, notes, slot, side, amount, 1)
    elif kind == 0:
        cancel(orders, slot)
    elif kind == TRAIL:
        place(run, orders, setup, notes, slot, TRAIL, side, run["price"] * (1.0 + side * price), amount, 1, price)
    else:
        place(run, orders, setup, notes, slot, kind, side, price, amount, 1)


KIND = replace(
    KINDS["grid"], slots=lambda params: SLOTS, vector=lambda params, terms: np.zeros(1), on_start=do_nothing,
    on_fill=ignore, on_bar=obey,
)  # fmt: skip


@dataclass(frozen=True)
class Params:
    leverage: float = 1.0


def script(count: int, orders: dict[int, tuple]) -> Seen:
    """Bar -> (type, side, price or distance, amount or cost[, slot]), placed at its close."""
    signals, inputs = np.zeros(count, np.int8), np.zeros((count, 5))
    for bar, (kind, side, price, amount, *slot) in orders.items():
        signals[bar] = 1
        inputs[bar] = TYPES[kind], SIDES[side], price, amount, slot[0] if slot else 0
    return Seen(signals, inputs)


def run_script(candles, orders, terms=None, money=1000.0, leverage=1.0, limits=None, funding=NO_FUNDING):
    """(engine, steps) of a scripted run."""
    engine = Engine.new(KIND, Params(leverage), terms or Terms(), money, limits or Limits())
    return engine, step(engine, candles, script(len(candles), orders), funding)
