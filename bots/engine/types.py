"""The engine's nouns as numpy record types, so that a run is saved and restored byte for byte.

A record is read and written by field name, the same in compiled code and in plain Python: run["cash"].
Prices are quote per base, amounts base, money quote, times ms UTC; rates are fractions (0.001 is 0.1 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

STATE_VERSION: Final = 2
NEVER: Final = 2**62  # run["wake_time"] of a kind that waits for no bar
MEMORY: Final = 32  # numbers a kind may remember

# run["status"]
NEW: Final = 0  # has not seen a bar
RUNNING: Final = 1
STOPPED: Final = 2  # ended itself: wants no orders any more
FAILED: Final = 3  # broke a bound of the engine; the last note says which

# order["type"]; an empty slot has NONE. An order that is held by a limit has the negative of its type: it is wanted,
# but neither works nor fills until the limit lets it go.
NONE: Final = 0
LIMIT: Final = 1
MARKET: Final = 2
STOP: Final = 3  # becomes a market order when its price is touched: a buy from below, a sell from above
ALARM: Final = 4  # trades nothing, only wakes the kind when its price is touched, sided like a stop
TRAIL: Final = 5  # a stop that follows the best price since it was placed, at a distance
LIQUIDATION: Final = 6  # the exchange closes the position at this price; placed by the engine, of margin runs alone
FUNDING: Final = 7  # of trades alone: a payment, no trade
ORDER_TYPES: Final = ("none", "limit", "market", "stop", "alarm", "trailing", "liquidation", "funding")

BUY: Final = 1
SELL: Final = -1

# note["code"] of the engine; a kind's own codes start at KIND_NOTE
REFUSED_AMOUNT: Final = 1  # slot, value: amount
REFUSED_COST: Final = 2  # slot, value: cost
REFUSED_ALLOCATION: Final = 3  # slot, value: money short
REFUSED_POSITION: Final = 4  # slot, value: amount short
TOO_MANY_FILLS: Final = 5  # value: fills in the bar
REFUSED_MARGIN: Final = 6  # slot, value: margin short
REFUSED_MAX_POSITION: Final = 7  # slot, value: the limit
REFUSED_OPEN_ORDERS: Final = 8  # slot, value: the limit
HELD_DAILY_LOSS: Final = 9  # value: lost today
HELD_AFTER_LOSS: Final = 10  # value: seconds
RELEASED: Final = 11
DRAWDOWN_HIT: Final = 12  # value: fall from the peak, %
LIQUIDATED: Final = 13  # value: position
KIND_NOTE: Final = 100

# setup["path"] of a backtest: which of a bar's extremes comes first
EXPECTED: Final = 0  # the low when it closes at or above its open
WORST: Final = 1  # whichever leaves less equity at the close
BEST: Final = 2  # whichever leaves more
PATHS: Final = {"expected": EXPECTED, "worst": WORST, "best": BEST}

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
        ("funding", "f8"),  # paid; negative when received
        ("fills", "i8"),  # trades so far
        ("trades", "i8"),  # trades in the buffer of this step
        ("notes", "i8"),  # notes in the buffer of this step
        ("sequence", "i8"),  # orders placed so far
        ("wake_time", "i8"),  # on_bar is called at bars from this open time on; a kind that wants every bar sets 0
        ("held_until", "i8"),  # entries are held until the bar that opens then; 0: they are not
        ("day_end", "i8"),  # end of the UTC day that day_equity belongs to
        ("day_equity", "f8"),  # at its begin
        ("peak", "f8"),  # highest equity at a close, the allocation at least
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
        ("cost", "f8"),  # quote money a market order is for, fees included; its amount follows at the fill; else 0
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
        ("leverage", "f8"),  # 0: spot, no margin and no shorts
        ("maintenance", "f8"),  # margin that must be left, a fraction of the position's value
        ("path", "i8"),
        ("max_position", "f8"),  # quote; this and the next ones 0 for no limit
        ("max_open_orders", "f8"),
        ("max_daily_loss", "f8"),  # quote
        ("max_drawdown", "f8"),  # fraction
        ("loss_cooldown", "f8"),  # ms
        ("keep_at_drawdown", "f8"),
        ("close_tag", "i8"),  # the kind's tag of an order that closes what it holds
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
    margin: bool = False  # a swap: positions are held on margin, and may be short
    maintenance: float = 0.0  # margin rate under which the exchange liquidates


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person lets a run do at most; 0 means no limit."""

    max_position: float = 0.0  # value in quote
    max_open_orders: int = 0
    max_daily_loss: float = 0.0  # quote, at closes, against the equity at UTC midnight
    max_drawdown: float = 0.0  # fraction of the highest equity at a close
    loss_cooldown: int = 0  # ms without entries after a trade that lost
    keep_at_drawdown: bool = False  # keep the position when the drawdown ends the run; else close it


# Where a run of a batch finds its own in the arrays that all share: from … to (excluded).
SPAN = np.dtype(
    [
        ("orders", "i8"),
        ("orders_end", "i8"),
        ("params", "i8"),
        ("params_end", "i8"),
        ("bars", "i8"),
        ("bars_end", "i8"),
        ("signals", "i8"),  # as many as bars, or none
        ("signals_end", "i8"),
        ("inputs", "i8"),  # `width` for each signal
        ("width", "i8"),
        ("funding", "i8"),
        ("funding_end", "i8"),
        ("curve", "i8"),  # as many as bars
    ],
    align=True,
)


def setup_of(terms: Terms, limits: Limits, allocation: float, leverage: float, path: int) -> np.ndarray[Any, Any]:
    """One SETUP record, shape (1,)."""
    record = np.zeros(1, SETUP)
    record["allocation"], record["path"] = allocation, path
    record["leverage"] = leverage if terms.margin else 0.0
    for part in (terms, limits):
        for name in part.__slots__:
            if name != "margin":
                record[name] = getattr(part, name)
    return record
