"""The engine's nouns as numpy record types, so that a run is saved and restored byte for byte.

A record is read and written by field name, the same in compiled code and in plain Python: run["cash"].
Prices are quote per base, amounts base, money quote, times ms UTC; rates are fractions (0.001 is 0.1 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

STATE_VERSION: Final = 1
NEVER: Final = 2**62  # run["wake_time"] of a kind that waits for no bar
MEMORY: Final = 32  # numbers a kind may remember

# run["status"]
NEW: Final = 0  # has not seen a bar
RUNNING: Final = 1
STOPPED: Final = 2  # ended itself: wants no orders any more
FAILED: Final = 3  # broke a bound of the engine; the last note says which

# order["type"]; an empty slot has NONE
NONE: Final = 0
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3  # becomes a market order when its price is touched: a buy from below, a sell from above
ALARM: Final = 4  # trades nothing, only wakes the kind when its price is touched, sided like a stop
TRAIL: Final = 5  # a stop that follows the best price since it was placed, at a distance
ORDER_TYPES: Final = ("none", "limit", "market", "stop", "alarm", "trailing")

BUY: Final = 1
SELL: Final = -1

# note["code"] of the engine; a kind's own codes start at KIND_NOTE
REFUSED_AMOUNT: Final = 1  # slot, value: amount
REFUSED_COST: Final = 2  # slot, value: cost
REFUSED_ALLOCATION: Final = 3  # slot, value: money short
REFUSED_POSITION: Final = 4  # slot, value: amount short
TOO_MANY_FILLS: Final = 5  # value: fills in the bar
KIND_NOTE: Final = 100

RUN = np.dtype(
    [
        ("version", "i8"),
        ("status", "i8"),
        ("time", "i8"),  # open time of the last bar seen
        ("price", "f8"),  # last price seen
        ("cash", "f8"),
        ("position", "f8"),
        ("cost", "f8"),  # what the position cost, without fees: average price times size
        ("realized", "f8"),  # before fees
        ("fees", "f8"),
        ("fills", "i8"),  # trades so far
        ("trades", "i8"),  # trades in the buffer of this step
        ("notes", "i8"),  # notes in the buffer of this step
        ("sequence", "i8"),  # orders placed so far
        ("wake_time", "i8"),  # on_bar is called at bars from this open time on; a kind that wants every bar sets 0
        ("wake_low", "f8"),  # at or below it something happens
        ("wake_high", "f8"),  # at or above it something happens
        ("memory", "f8", (MEMORY,)),
    ],
    align=True,
)
ORDER = np.dtype(
    [
        ("type", "i8"),
        ("side", "i8"),
        ("tag", "i8"),  # index in the kind's tags
        ("sequence", "i8"),  # number of the order in its run: its identity
        ("price", "f8"),  # limit or trigger; 0 for market orders
        ("amount", "f8"),
        ("filled", "f8"),
        ("distance", "f8"),  # of a trailing stop or alarm from the best price, a fraction; else 0
        ("placed", "f8"),  # price at which it was placed: tells maker from taker
    ],
    align=True,
)
TRADE = np.dtype(
    [
        ("time", "i8"),
        ("slot", "i8"),
        ("sequence", "i8"),  # the order's
        ("type", "i8"),  # the order's
        ("side", "i8"),
        ("tag", "i8"),
        ("limit", "f8"),  # the order's price
        ("price", "f8"),
        ("amount", "f8"),  # 0: an alarm, not a trade
        ("fee", "f8"),
        ("realized", "f8"),
    ],
    align=True,
)
NOTE = np.dtype([("time", "i8"), ("code", "i8"), ("slot", "i8"), ("price", "f8"), ("value", "f8")], align=True)
SETUP = np.dtype(
    [
        ("allocation", "f8"),
        ("tick", "f8"),
        ("lot", "f8"),
        ("min_amount", "f8"),
        ("min_cost", "f8"),
        ("maker", "f8"),
        ("taker", "f8"),
        ("slippage", "f8"),
        ("fee_step", "f8"),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a market demands of an order, and what it costs. A step of 0 means no rounding."""

    tick: float = 0.0
    lot: float = 0.0
    min_amount: float = 0.0
    min_cost: float = 0.0
    maker: float = 0.0
    taker: float = 0.0
    slippage: float = 0.0  # of market and stop orders
    fee_step: float = 0.0

    def setup(self, allocation: float) -> np.ndarray[Any, Any]:
        """One SETUP record, shape (1,)."""
        record = np.zeros(1, SETUP)
        record["allocation"] = allocation
        for name in self.__slots__:
            record[name] = getattr(self, name)
        return record
