"""One run in memory, and the one way to lead it through bars: in a backtest, on paper and live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bots.engine.loop import program
from bots.engine.matching import most_fills
from bots.engine.types import ALARM, BUY, MARKET, NEVER, NONE, NOTE, ORDER, RUN, SELL, STATE_VERSION, TRADE, Terms
from markets.series import Candles, Column

if TYPE_CHECKING:
    from bots.kinds.contract import Kind

Records = np.ndarray[Any, Any]
ROOM = 512  # trades and notes a buffer holds beyond what one bar may bring


@dataclass(slots=True)
class Engine:
    """One run in memory: its kind, its constants and its state. All arrays are plain numpy."""

    kind: Kind
    setup: Records  # SETUP, shape (1,)
    params: Column  # the kind's own layout
    run: Records  # RUN, shape (1,)
    orders: Records  # ORDER, shape (slots,)

    @classmethod
    def new(cls, kind: Kind, params: Any, terms: Terms, allocation: float) -> Engine:
        """A run that has not seen a bar. Units: allocation in quote."""
        run = np.zeros(1, RUN)
        run["version"] = STATE_VERSION
        run["cash"] = allocation
        run["wake_time"], run["wake_low"], run["wake_high"] = NEVER, -np.inf, np.inf
        vector = np.ascontiguousarray(kind.vector(params, terms), np.float64)
        return cls(kind, terms.setup(allocation), vector, run, np.zeros(kind.slots(params), ORDER))

    def restore(self, run: bytes, orders: bytes) -> Engine:
        """A run of the same constants with saved state. Raises ValueError when it was saved in another layout."""
        if len(run) != RUN.itemsize or len(orders) != self.orders.nbytes:
            raise ValueError(
                f"saved state has {len(run)} + {len(orders)} bytes, not {RUN.itemsize} + {self.orders.nbytes}"
            )
        state = np.frombuffer(bytearray(run), RUN)
        if state["version"][0] != STATE_VERSION:
            raise ValueError(f"saved state has version {state['version'][0]}, not {STATE_VERSION}")
        return replace(self, run=state, orders=np.frombuffer(bytearray(orders), ORDER))

    def want_flat(self) -> None:
        """Want nothing but the position sold (or bought back) at the next price."""
        run, order = self.run[0], self.orders[0]
        self.orders["type"] = NONE
        run["sequence"] += 1
        order["type"], order["side"] = MARKET, SELL if run["position"] > 0 else BUY
        order["tag"], order["sequence"] = self.kind.tags.index("close"), run["sequence"]
        order["price"], order["amount"], order["filled"] = 0.0, abs(run["position"]), 0.0
        run["wake_high"] = -np.inf

    def renew(self, price: float) -> None:
        """Give the wanted orders new identities, as placed at this price: what it has crossed pays as a taker."""
        real = np.flatnonzero((self.orders["type"] != NONE) & (self.orders["type"] != ALARM))
        self.orders["sequence"][real] = self.run["sequence"] + 1 + np.arange(real.size)
        self.orders["placed"][real] = price
        self.run["sequence"] += real.size

    def save(self) -> tuple[bytes, bytes]:
        return self.run.tobytes(), self.orders.tobytes()


@dataclass(frozen=True, slots=True)
class Steps:
    """What came of a stretch of bars. trades: TRADE; notes: NOTE; equity: quote at each close, float64."""

    trades: Records
    notes: Records
    equity: Column


def step(engine: Engine, candles: Candles) -> Steps:
    """Lead a run through candles it has not seen. One bar or a whole history: the same code, the same result."""
    call = program(engine.kind)
    room = most_fills(len(engine.orders)) + 1 + ROOM
    curve, inputs = np.empty(len(candles)), np.empty((len(candles), 0))
    run, kept_trades, kept_notes = engine.run[0], [], []
    done = 0
    while True:
        trades, notes = np.zeros(room, TRADE), np.zeros(room, NOTE)
        done = call(
            run, engine.orders, engine.setup[0], engine.params, notes, trades,
            candles.time, candles.open, candles.high, candles.low, candles.close, inputs, curve, done,
        )  # fmt: skip
        kept_trades.append(trades[: run["trades"]])
        kept_notes.append(notes[: run["notes"]])
        run["trades"] = run["notes"] = 0
        if done == len(candles):
            return Steps(np.concatenate(kept_trades), np.concatenate(kept_notes), curve)
        room *= 2
