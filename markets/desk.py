"""The matching of the simulated exchange: orders of one account on one market, led along its candles.

Independent of the bots' engine, on purpose: that both give the same trades is what the tests hold them to. A candle is
a path: from the previous close to the open, then low and high (high and low when it closes below its open), then the
close. The desk goes along it until something happens, and waits there, so that whoever trades may react to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from markets import desk_margin as margin
from markets.desk_margin import FEE_STEP, FEE_UNIT
from markets.desk_orders import NO_FAULTS, Conditions, Faults, Liquidation, Resting
from markets.precision import ceil_to_step, floor_to_step, round_to_step, to_decimal
from markets.series import Row
from markets.surface import Alert, Execution, Moment, OrderRequest, Watch

# In the place of a client id: nobody placed it.
LIQUIDATION: Final = "liquidation"
_LAST: Final = 2**31
# Where on its candle a desk is: before the open, at it, on the way to the two extremes and the close, beyond it; before
# the open with the funding settled.
BEFORE, AT_OPEN, TO_FIRST, TO_SECOND, TO_CLOSE, OVER, SETTLED = range(7)

# Open time, ms UTC -> the next candle after it; None when it has not closed yet.
NextCandle = Callable[[int], Row | None]
# (after, until), ms UTC -> the sum of the funding rates that settle then; None when none does.
RateDue = Callable[[int, int], float | None]


def no_funding(after: int, until: int) -> None:
    """Of markets that settle none."""


@dataclass(slots=True)
class Place:
    """Where on its way a desk is. price: None before the first candle; since: whence it came."""

    time: int
    phase: int = OVER
    price: float | None = None
    since: float = 0.0
    quiet: bool = True
    number: int = 0


def reached(kind: str, side: str, at: float, price: float) -> bool:
    """True when an order or alert acts at a price: limit buys and stop sells at or below theirs, others above."""
    if kind == "market":
        return True
    return price <= at if (kind == "limit") == (side == "buy") else price >= at


def corners(candle: Row) -> tuple[float, float, float, float]:
    """Open, the two extremes as the path has them, close."""
    _, open_, high, low, close, _ = candle
    return (open_, low, high, close) if close >= open_ else (open_, high, low, close)


@dataclass(slots=True)
class Desk:
    """Orders, money and the place on the path. balances: currency -> Decimal, perhaps shared with other desks."""

    conditions: Conditions
    place: Place
    balances: dict[str, Decimal]
    orders: dict[str, Resting] = field(default_factory=dict)  # client id -> open ones, and those just ended
    executions: list[Execution] = field(default_factory=list)
    last_id: int = 0
    faults: Faults = NO_FAULTS

    def accept(self, request: OrderRequest) -> Resting:
        """Take an order on the book, or reject it."""
        price = float(request.price or 0)
        # Nobody is filled more than was asked for, nor a part of a lot.
        amount = float(floor_to_step(float(request.amount), float(self.conditions.lot)))
        if request.reduce_only and self.conditions.leverage:
            amount = min(amount, margin.reducible(request.side, self._holdings()[1]))
        order = Resting(request, price, amount, taker=self._executes_at_once(request, price))
        order.reason = self._refusal(order)
        if order.reason:
            order.status = "rejected"
        self.orders[request.client_id] = order
        return order

    def _executes_at_once(self, request: OrderRequest, price: float) -> bool:
        if request.type != "limit":
            return True
        return self.place.price is not None and reached("limit", request.side, price, self.place.price)

    def _refusal(self, order: Resting) -> str:
        terms, noise = self.conditions, 1.0 - 1e-9
        if self.faults.rejects(order.request.client_id):
            return "the exchange would not have it"
        if terms.leverage and order.request.reduce_only and not order.amount:
            return "there is no position that it would reduce"
        if not order.request.cost:
            if order.amount <= 0 or order.amount < terms.min_amount * noise:
                return f"its amount {order.amount:.10g} is below the minimum {terms.min_amount:.10g}"
            # What a market order will cost is not known yet.
            if order.price and order.amount * order.price < terms.min_cost * noise:
                return f"its value {order.amount * order.price:.10g} is below the minimum {terms.min_cost:.10g}"
        if not terms.leverage:
            return ""
        price = self.place.price or order.price
        return margin.entry_refusal(terms, order, self.orders.values(), price, self._holdings())

    def cancel(self, client_id: str) -> Resting | None:
        order = self.orders.get(client_id)
        if order and order.status == "open":
            order.status = "canceled"
        return order

    def go_on(self, watch: Watch, candles: NextCandle, rates: RateDue = no_funding) -> Moment | None:
        """Go along the path to the next thing that happens; None when the candles end before it."""
        place = self.place
        if place.time < watch.since:
            place.phase = OVER
        candle = candles(max(place.time, watch.since - 1) if place.phase == OVER else place.time - 1)
        while candle is not None and candle[0] <= watch.until:
            if place.phase == OVER:
                self._begin(candle)
                if watch.due <= candle[0]:
                    return self._tell("opened")
            told = self._settle(candle, watch, rates) or self._along(candle, watch)
            if told:
                return told
        return None

    def _begin(self, candle: Row) -> None:
        place = self.place
        place.time, place.phase, place.quiet = candle[0], BEFORE, True
        if place.price is None:
            place.price = candle[1]

    def _settle(self, candle: Row, watch: Watch, rates: RateDue) -> Moment | None:
        """Funding that is due at the open of a candle, on the position as it came to it."""
        if self.place.phase != BEFORE:
            return None
        self.place.phase = SETTLED
        rate = rates(watch.since - 1, candle[0])
        if rate is None:
            return None
        paid = margin.funding(self._holdings()[1], candle[1], rate)
        self.balances[self.conditions.quote] -= paid
        return self._tell("funded", price=candle[1], rate=rate, paid=paid)

    def _along(self, candle: Row, watch: Watch) -> Moment | None:
        """To the end of the phase, or what happens before."""
        place, path = self.place, corners(candle)
        assert place.price is not None
        if place.phase == SETTLED:
            place.since, place.price, place.phase = place.price, path[0], AT_OPEN
        acting = self._acting(watch)
        if acting:
            return self._act(acting)
        target = path[place.phase - AT_OPEN]
        met = self._met(watch, target)
        if met:
            place.price = place.since = met.price
            return self._act(met)
        place.price = place.since = target
        place.phase += 1
        if place.phase == OVER:
            return self._tell("closed", quiet=place.quiet)
        return None if watch.low < target < watch.high else self._tell("turned")

    def _candidates(self, watch: Watch) -> Iterator[tuple[str, str, int, Alert | Resting | Liquidation]]:
        yield from (("stop", alert.side, alert.rank, alert) for alert in watch.alerts)
        taken = margin.liquidation(self.conditions, *self._holdings())
        if taken:
            yield "stop", taken.side, _LAST, taken
        for order in self.orders.values():
            if order.status == "open":
                yield order.request.type, order.request.side, order.request.rank, order

    def _acting(self, watch: Watch) -> Alert | Resting | Liquidation | None:
        """What acts at the price now: a liquidation, then market orders, then as the way here met them."""
        place, found = self.place, []
        assert place.price is not None
        for kind, side, rank, one in self._candidates(watch):
            if reached(kind, side, one.price, place.price):
                first = -2.0 if isinstance(one, Liquidation) else -1.0 if kind == "market" else None
                found.append((abs(one.price - place.since) if first is None else first, rank, one))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    def _met(self, watch: Watch, target: float) -> Alert | Resting | Liquidation | None:
        """What the way to the target meets first."""
        price, found = self.place.price, []
        assert price is not None
        for kind, side, rank, one in self._candidates(watch):
            falling = (kind == "limit") == (side == "buy")
            if target <= one.price < price if falling else price < one.price <= target:
                found.append((abs(one.price - price), rank, one))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    def _holdings(self) -> tuple[Decimal, Decimal]:
        """Quote and base that the account holds."""
        terms, none = self.conditions, Decimal(0)
        return self.balances.setdefault(terms.quote, none), self.balances.setdefault(terms.base, none)

    def _act(self, one: Alert | Resting | Liquidation) -> Moment:
        if isinstance(one, Alert):
            return self._tell("touched", rank=one.rank)
        if isinstance(one, Liquidation):
            return self._tell("liquidated", executions=[self._take_over(one)])
        execution = self._execute(one)
        if execution is None:
            return self._tell("ended", order=one.info(self.conditions.lot))
        return self._tell("executed", executions=[execution])

    def _execute(self, order: Resting) -> Execution | None:
        """Trade what is due of an order at the price now; None when the money is not there."""
        terms, side = self.conditions, order.direction
        tick, lot = float(terms.tick), float(terms.lot)
        price = self._price(order, tick)
        if order.request.cost and not order.filled:
            taken = terms.taker if side > 0 else 0.0
            order.amount = float(floor_to_step(float(order.request.cost) / (price * (1.0 + taken)), lot))
        amount = self._part(order, lot)
        fee = float(ceil_to_step(price * amount * (terms.taker if order.taker else terms.maker), FEE_STEP))
        exact = (to_decimal(price, terms.tick), to_decimal(amount, terms.lot), to_decimal(fee, FEE_UNIT))
        order.reason = self._shortage(order, *exact)
        if order.reason:
            order.status = "canceled" if order.filled else "rejected"
            return None
        self._move(side, *exact)
        order.filled = float(round_to_step(order.filled + amount, lot))
        left = to_decimal(max(float(floor_to_step(order.amount - order.filled, lot)), 0.0), terms.lot)
        order.status = "open" if left else "closed"
        return self._record(order.request.client_id, exact, left)

    def _price(self, order: Resting, tick: float) -> float:
        """At which an order trades now. A limit holds, also one between two ticks that grew coarser since."""
        price, side = self.place.price, order.direction
        assert price is not None
        limited = order.request.type == "limit"
        if not limited:
            price *= 1.0 + side * self.conditions.slippage
        # What was touched on the way here may lie between two ticks.
        price = float(round_to_step(price, tick))
        if limited and side > 0:
            price = min(price, float(floor_to_step(order.price, tick)))
        elif limited:
            price = max(price, float(ceil_to_step(order.price, tick)))
        return max(price, tick)

    def _record(self, client_id: str, exact: tuple[Decimal, Decimal, Decimal], left: Decimal) -> Execution:
        self.last_id += 1
        execution = Execution(self.last_id, client_id, self.place.time, *exact, left)
        self.executions.append(execution)
        return execution

    def _take_over(self, taken: Liquidation) -> Execution:
        """Close the position, keep what is left of its margin as the fee, end every order."""
        cash, position = self._holdings()
        assert self.place.price is not None
        at, fee = margin.takeover(self.conditions, self.place.price, cash, position)
        self._move(-1 if position > 0 else 1, at, abs(position), fee)
        for order in self.orders.values():
            order.status = "canceled" if order.status == "open" else order.status
        return self._record(LIQUIDATION, (at, abs(position), fee), Decimal(0))

    def _part(self, order: Resting, lot: float) -> float:
        left = float(floor_to_step(order.amount - order.filled, lot))
        part = float(floor_to_step(order.amount / self.faults.parts, lot))
        return part if part > 0.0 and 2.0 * part <= left * (1.0 + 1e-9) else left

    def _shortage(self, order: Resting, price: Decimal, amount: Decimal, fee: Decimal) -> str:
        """Why an order cannot be paid for, or ""."""
        side, terms = order.direction, self.conditions
        cash, position = self._holdings()
        if amount <= 0:
            return "it came to nothing at the market's smallest step"
        if terms.leverage:
            return margin.shortage(terms, order, price, amount, fee, (cash, position))
        if side > 0 and price * amount + fee > cash:
            return f"it costs {price * amount + fee:f} {terms.quote}, and the account holds {cash:f}"
        if side < 0 and amount > position:
            return f"it sells {amount:f} {terms.base}, and the account holds {position:f}"
        return ""

    def _move(self, side: int, price: Decimal, amount: Decimal, fee: Decimal) -> None:
        self.balances[self.conditions.quote] -= side * price * amount + fee
        self.balances[self.conditions.base] += side * amount

    def _tell(self, kind: str, **what: Any) -> Moment:
        place = self.place
        assert place.price is not None
        place.number += 1
        place.quiet = False
        return Moment(place.number, kind, place.time, what.pop("price", place.price), **what)
