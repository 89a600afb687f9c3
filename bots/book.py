"""The exact ledger: what the trades of a run come to, in Decimal, to the last unit.

The engine decides in float64; what is stored is this. Rebuilding it from a run's trades gives the stored figures.
Average cost, as in bots/engine/ledger.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

# Scale of the database's columns: each figure is what its column holds, so that a resumed book equals a rebuilt one.
SCALE = Decimal(1).scaleb(-18)


@dataclass(slots=True)
class Book:
    """cash, cost, realized, fees in quote; position in base, negative when short."""

    cash: Decimal
    position: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)

    def apply(self, side: int, price: Decimal, amount: Decimal, fee: Decimal) -> Decimal:
        """Book a trade; side 1 buys, -1 sells. Returns the profit it locked in, before its fee."""
        with localcontext(prec=60):
            realized = self._move(side, price, amount)
            self.cash -= side * price * amount + fee
            self.realized += realized
            self.fees += fee
        return realized

    def _move(self, side: int, price: Decimal, amount: Decimal) -> Decimal:
        realized = Decimal(0)
        if self.position * side >= 0:
            self.cost += price * amount
        else:
            size = abs(self.position)
            closing = min(amount, size)
            part = (self.cost * closing / size).quantize(SCALE)
            realized = (part - closing * price) * side
            self.cost = self.cost - part + (amount - closing) * price
        self.position += side * amount
        return realized

    def equity(self, price: Decimal) -> Decimal:
        return self.cash + self.position * price

    @property
    def average(self) -> Decimal:
        """Average price of the position; 0 when flat."""
        return abs(self.cost / self.position).quantize(SCALE) if self.position else Decimal(0)
