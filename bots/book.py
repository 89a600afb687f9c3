"""The exact ledger: what the trades of a run come to, in Decimal, to the last unit.

The engine decides in float64; what is stored is this. Rebuilding it from a run's trades gives the stored figures.
Average cost, as in bots/engine/ledger.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

# Scale of the database's columns: each figure is what its column holds, so that a resumed book equals a rebuilt one.
SCALE = Decimal(1).scaleb(-18)
# The usual 28 digits would leave ten before the point: too few for prices and sums in rupiah or dong.
WIDE = Context(prec=60)
# The columns hold less.
LIMIT = Decimal(10) ** 20
FIGURES = ("cash", "position", "cost", "realized", "fees", "funding")


@dataclass(slots=True)
class Book:
    """cash, cost, realized, fees in quote; position in base, negative when short."""

    cash: Decimal
    position: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)

    def apply(self, side: int, price: Decimal, amount: Decimal, fee: Decimal) -> Decimal:
        """Book a trade; side 1 buys, -1 sells. Returns the profit it locked in, before its fee."""
        with localcontext(WIDE):
            realized = self._move(side, price, amount)
            self.cash -= side * price * amount + fee
            self.realized += realized
            self.fees += fee
        return realized

    def pay(self, paid: Decimal) -> None:
        """Book funding of a swap; negative when received."""
        with localcontext(WIDE):
            self.cash -= paid
            self.funding += paid

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
        """To the scale of its column."""
        return WIDE.add(self.cash, WIDE.multiply(self.position, price)).quantize(SCALE, context=WIDE)

    @property
    def average(self) -> Decimal:
        """Average price of the position; 0 when flat."""
        if not self.position:
            return Decimal(0)
        return abs(WIDE.divide(self.cost, self.position)).quantize(SCALE, context=WIDE)

    def check(self) -> None:
        """Raises ValueError for a figure that its column cannot hold."""
        for name in FIGURES:
            if abs(getattr(self, name)) >= LIMIT:
                raise ValueError(f"{name} must be below {LIMIT:.0e} to be stored, not {getattr(self, name):.6g}.")
