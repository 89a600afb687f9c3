"""One run in memory: its constants and its state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bots.engine.layouts import read_state
from bots.engine.types import (
    ALARM,
    BUY,
    EXPECTED,
    FAILED,
    LIQUIDATION,
    MARKET,
    NEVER,
    NEW,
    NONE,
    ORDER,
    RUN,
    SELL,
    STATE_VERSION,
    STOPPED,
    Limits,
    Terms,
    setup_of,
)
from markets.series import Column

if TYPE_CHECKING:
    from bots.kinds.contract import Kind

Records = np.ndarray[Any, Any]
NO_LIMITS = Limits()


@dataclass(slots=True)
class Engine:
    """One run in memory: its kind, its constants and its state. All arrays are plain numpy."""

    kind: Kind
    params: Any  # the kind's Params
    setup: Records  # SETUP, shape (1,)
    vector: Column  # the parameters in the kind's own layout
    run: Records  # RUN, shape (1,)
    orders: Records  # ORDER, shape (slots,)

    @classmethod
    def new(
        cls,
        kind: Kind,
        params: Any,
        terms: Terms,
        allocation: float,
        limits: Limits = NO_LIMITS,
        path: int = EXPECTED,
    ) -> Engine:
        """A run that has not seen a bar. Units: allocation in quote; path: which extreme of a bar comes first."""
        run = np.zeros(1, RUN)
        run["version"] = STATE_VERSION
        run["cash"] = run["peak"] = run["day_equity"] = allocation
        run["wake_time"], run["wake_low"], run["wake_high"] = NEVER, -np.inf, np.inf
        setup = setup_of(terms, limits, allocation, float(getattr(params, "leverage", 1.0)), path)
        setup["close_tag"] = kind.tags.index("close")
        vector = np.ascontiguousarray(kind.vector(params, terms), np.float64)
        # On margin the last slot is the exchange's.
        return cls(kind, params, setup, vector, run, np.zeros(kind.slots(params) + terms.margin, ORDER))

    def restore(self, run: bytes, orders: bytes) -> Engine:
        """A run of the same constants with saved state. Raises ValueError when it was saved in another layout."""
        state, wanted = read_state(run, orders, len(self.orders))
        return replace(self, run=state, orders=wanted)

    def stand_at(self, time: int, price: float | None) -> None:
        """Have seen bars at which nothing happened: the last opened at `time`, ms UTC, and closed at `price`."""
        if self.run["status"][0] != NEW and price is not None:
            self.run["time"], self.run["price"] = time, price

    def save(self) -> tuple[bytes, bytes]:
        return self.run.tobytes(), self.orders.tobytes()

    def wanted(self) -> Records:
        """Slots of the orders that are to work: no alarms, nothing held."""
        kind = self.orders["type"]
        return np.flatnonzero((kind > NONE) & (kind != ALARM) & (kind != LIQUIDATION))

    def want_flat(self) -> None:
        """Want nothing but the position sold (or bought back) at the next price; the run is over."""
        run, order = self.run[0], self.orders[0]
        if run["status"] != FAILED:
            run["status"] = STOPPED
        self.orders["type"] = NONE
        run["sequence"] += 1
        order["type"], order["side"] = MARKET, SELL if run["position"] > 0 else BUY
        order["tag"], order["sequence"] = self.kind.tags.index("close"), run["sequence"]
        order["price"], order["amount"], order["cost"], order["filled"] = 0.0, abs(run["position"]), 0.0, 0.0
        run["wake_time"], run["wake_high"] = NEVER, -np.inf

    def renew(self, price: float) -> None:
        """Give the wanted orders new identities, as placed at this price: what it has crossed pays as a taker."""
        real = self.wanted()
        self.orders["sequence"][real] = self.run["sequence"] + 1 + np.arange(real.size)
        self.orders["placed"][real] = price
        self.run["sequence"] += real.size
