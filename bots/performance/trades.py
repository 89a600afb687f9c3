"""What trades came to: how long a position was held, and what each order locked in after fees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from bots.performance.curve import fixed
from markets.series import Column, Times

DUST = 1e-9  # a position below this part of the trade that left it is rounding, not a position
BREAK_EVEN = 1e-12  # a result below this part of an order's cost is rounding, not a gain or a loss
COLUMNS = ("time", "change", "cost", "fee", "realized", "order")

# What one pass over trades finds.
CLOSED = np.dtype(
    [
        ("held", "i8"),  # time with a position, ms
        ("orders", "i8"),  # that closed a position or a part of one
        ("won", "i8"),  # of those, with a gain
        ("gains", "f8"),  # of those that won together, quote, after fees
        ("losses", "f8"),  # of those that lost, as a number >= 0
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Trades:
    """All trades of a run that began flat, oldest first. All columns shape (trades,).

    time: ms UTC; change: of the position in base, negative when sold; cost: price times amount, fee: in quote;
    realized: profit the trade locked in before fees, in quote, at average cost; order: number of the order it
    executed, so that an order filled in parts counts once. Raises ValueError when these cannot be.
    """

    time: Times
    change: Column
    cost: Column
    fee: Column
    realized: Column
    order: Times

    def __post_init__(self) -> None:
        for name in COLUMNS[1:]:
            column = getattr(self, name)
            if len(column) != len(self.time):
                raise ValueError(f"{name} must have {len(self.time)} values, one for each time, not {len(column)}.")
            if len(wrong := np.flatnonzero(~np.isfinite(column))):
                raise ValueError(f"{name} must be finite, not {column[wrong[0]]} at trade {wrong[0]}.")
        if len(wrong := np.flatnonzero(self.time[1:] < self.time[:-1])):
            at = wrong[0] + 1
            raise ValueError(f"time must not go back, not from {self.time[at - 1]} to {self.time[at]} at trade {at}.")

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, records: Any) -> Trades:
        """Of the engine's trades, TRADE records."""
        return cls(
            time=records["time"],
            change=records["side"] * records["amount"],
            cost=records["price"] * records["amount"],
            fee=records["fee"],
            realized=records["realized"],
            order=records["sequence"],
        )


def closed(trades: Trades, begin: int, end: int) -> Any:
    """What trades between two moments came to, a CLOSED record."""
    found, net = np.zeros(1, CLOSED), np.empty(len(trades))
    time, order = (fixed(column, np.int64) for column in (trades.time, trades.order))
    money = (trades.change, trades.cost, trades.fee, trades.realized)
    change, cost, fee, realized = (fixed(column, np.float64) for column in money)
    found["held"] = _settle(time, change, fee, realized, begin, end, net)
    # Stable: fast on what is nearly sorted, and orders are numbered as they are placed.
    _count(order, fixed(np.argsort(order, kind="stable"), np.int64), cost, net, found[0])
    return found[0]


@njit(cache=True)
def _settle(time: Any, change: Any, fee: Any, realized: Any, begin: int, end: int, net: Any) -> int:
    """Write what each trade locked in after fees into net, NaN where it closed nothing; returns ms with a position.

    Fees of opening trades are carried with the position at average cost, as its price is, so that a round trip pays
    for both its sides. A trade that goes through zero pays its own fee in proportion for each part.
    """
    position = carried = 0.0
    held, since = 0, begin
    for i in range(len(time)):
        now = min(max(time[i], begin), end)
        if position != 0.0:
            held += now - since
        size, amount = abs(position), abs(change[i])
        net[i] = math.nan
        if position * change[i] >= 0.0:
            carried += fee[i]
        else:
            part = min(amount, size)
            entry, exit_fee = carried * part / size, fee[i] * part / amount
            net[i] = realized[i] - entry - exit_fee
            carried += fee[i] - exit_fee - entry
        position += change[i]
        if abs(position) <= DUST * max(size, amount):
            position = carried = 0.0
        since = now
    return held + (end - since if position != 0.0 else 0)


@njit(cache=True)
def _count(order: Any, by_order: Any, cost: Any, net: Any, found: Any) -> None:
    """Add up what orders locked in. by_order: indices of trades, those of an order side by side."""
    total = traded = 0.0
    for k in range(len(by_order)):
        i = by_order[k]
        if not math.isnan(net[i]):
            total += net[i]
            traded += cost[i]
        if traded > 0.0 and (k + 1 == len(by_order) or order[by_order[k + 1]] != order[i]):
            found["orders"] += 1
            if total > BREAK_EVEN * traded:
                found["won"] += 1
                found["gains"] += total
            elif total < -BREAK_EVEN * traded:
                found["losses"] -= total
            total = traded = 0.0
