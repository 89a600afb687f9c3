"""What the matching of the simulated exchange works with: its conditions, its faults, the orders on its book."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from decimal import Decimal

from markets.precision import to_decimal
from markets.surface import OrderInfo, OrderRequest


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the market demands and costs; slippage: of market and stop orders, a fraction.

    leverage: 0 on spot; on a swap margin is isolated, the balances are what the position was given. maintenance: margin
    that must be left, a fraction of the position's value. max_leverage: highest that the market allows.
    """

    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_amount: float = 0.0
    min_cost: float = 0.0
    maker: float = 0.0
    taker: float = 0.0
    slippage: float = 0.0
    leverage: float = 0.0
    maintenance: float = 0.0
    max_leverage: float = math.inf


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, for tests. One order in so many is rejected, or times out after it was accepted; 0: none.

    parts: executions an order is filled in; repeat: executions are reported again with the next one; down: no answer.
    """

    reject_one_in: int = 0
    time_out_one_in: int = 0
    parts: int = 1
    repeat: bool = False
    down: bool = False

    def rejects(self, client_id: str) -> bool:
        return _chosen(f"reject {client_id}", self.reject_one_in)

    def times_out(self, client_id: str) -> bool:
        return _chosen(f"time out {client_id}", self.time_out_one_in)


NO_FAULTS = Faults()


def _chosen(text: str, one_in: int) -> bool:
    return one_in > 0 and zlib.crc32(text.encode()) % one_in == 0


@dataclass(slots=True)
class Resting:
    """An order on the book."""

    request: OrderRequest
    price: float  # 0 for market orders
    amount: float
    taker: bool  # it would have executed at once when it came
    filled: float = 0.0
    status: str = "open"
    reason: str = ""

    @property
    def direction(self) -> int:
        return 1 if self.request.side == "buy" else -1

    def info(self, lot: Decimal) -> OrderInfo:
        filled, amount = to_decimal(self.filled, lot), to_decimal(self.amount, lot)
        return OrderInfo(self.request.client_id, self.status, amount, filled, self.reason)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Where the exchange takes a position over; side: of the trade that it makes."""

    side: str
    price: float
