"""The matching of the simulated exchange: orders of one account on one market, led along its candles.

Independent of the bots' engine, on purpose: that both give the same trades is what the tests hold them to. A candle is
a path: from the previous close to the open, then low and high (high and low when it closes below its open), then the
close. The desk goes along it until something happens, and waits there, so that whoever trades may react to it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from markets.precision import ceil_to_step, floor_to_step, round_to_step, to_decimal
from markets.series import Row
from markets.surface import Alert, Execution, Moment, OrderInfo, OrderRequest, Watch

FEE_STEP: Final = 1e-8
_FEE_UNIT: Final = Decimal("1e-8")
# Where on its candle a desk is: before the open, at it, on the way to the two extremes and the close, beyond it.
BEFORE, AT_OPEN, TO_FIRST, TO_SECOND, TO_CLOSE, OVER = range(6)

# Open time, ms UTC -> the next candle after it; None when it has not closed yet.
NextCandle = Callable[[int], Row | None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the market demands and costs; slippage: of market and stop orders, a fraction."""

    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_amount: float = 0.0
    min_cost: float = 0.0
    maker: float = 0.0
    taker: float = 0.0
    slippage: float = 0.0


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
    faults: Faults = Faults()

    def accept(self, request: OrderRequest) -> Resting:
        """Take an order on the book, or reject it."""
        price = float(request.price or 0)
        order = Resting(request, price, float(request.amount), taker=self._executes_at_once(request, price))
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
        if order.request.cost:
            return ""
        if order.amount <= 0 or order.amount < terms.min_amount * noise:
            return f"its amount {order.amount:.10g} is below the minimum {terms.min_amount:.10g}"
        # What a market order will cost is not known yet.
        if order.price and order.amount * order.price < terms.min_cost * noise:
            return f"its value {order.amount * order.price:.10g} is below the minimum {terms.min_cost:.10g}"
        return ""

    def cancel(self, client_id: str) -> Resting | None:
        order = self.orders.get(client_id)
        if order and order.status == "open":
            order.status = "canceled"
        return order

    def go_on(self, watch: Watch, candles: NextCandle) -> Moment | None:
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
            told = self._along(candle, watch)
            if told:
                return told
        return None

    def _begin(self, candle: Row) -> None:
        place = self.place
        place.time, place.phase, place.quiet = candle[0], BEFORE, True
        if place.price is None:
            place.price = candle[1]

    def _along(self, candle: Row, watch: Watch) -> Moment | None:
        """To the end of the phase, or what happens before."""
        place, path = self.place, corners(candle)
        assert place.price is not None
        if place.phase == BEFORE:
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

    def _candidates(self, watch: Watch) -> Iterator[tuple[str, str, int, Alert | Resting]]:
        yield from (("stop", alert.side, alert.rank, alert) for alert in watch.alerts)
        for order in self.orders.values():
            if order.status == "open":
                yield order.request.type, order.request.side, order.request.rank, order

    def _acting(self, watch: Watch) -> Alert | Resting | None:
        """What acts at the price now: market orders, then as the way here met them."""
        place, found = self.place, []
        assert place.price is not None
        for kind, side, rank, one in self._candidates(watch):
            if reached(kind, side, one.price, place.price):
                found.append((-1.0 if kind == "market" else abs(one.price - place.since), rank, one))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    def _met(self, watch: Watch, target: float) -> Alert | Resting | None:
        """What the way to the target meets first."""
        price, found = self.place.price, []
        assert price is not None
        for kind, side, rank, one in self._candidates(watch):
            falling = (kind == "limit") == (side == "buy")
            if target <= one.price < price if falling else price < one.price <= target:
                found.append((abs(one.price - price), rank, one))
        return min(found, key=lambda entry: entry[:2])[2] if found else None

    def _act(self, one: Alert | Resting) -> Moment:
        if isinstance(one, Alert):
            return self._tell("touched", rank=one.rank)
        execution = self._execute(one)
        if execution is None:
            return self._tell("ended", order=one.info(self.conditions.lot))
        return self._tell("executed", executions=[execution])

    def _execute(self, order: Resting) -> Execution | None:
        """Trade what is due of an order at the price now; None when the money is not there."""
        terms, side = self.conditions, order.direction
        tick, lot = float(terms.tick), float(terms.lot)
        price = self.place.price
        assert price is not None
        if order.request.type != "limit":
            price = max(float(round_to_step(price * (1.0 + side * terms.slippage), tick)), tick)
        if order.request.cost and not order.filled:
            taken = terms.taker if side > 0 else 0.0
            order.amount = float(floor_to_step(float(order.request.cost) / (price * (1.0 + taken)), lot))
        amount = self._part(order, lot)
        fee = float(ceil_to_step(price * amount * (terms.taker if order.taker else terms.maker), FEE_STEP))
        exact = (to_decimal(price, terms.tick), to_decimal(amount, terms.lot), to_decimal(fee, _FEE_UNIT))
        order.reason = self._pay(side, *exact)
        if order.reason:
            order.status = "canceled" if order.filled else "rejected"
            return None
        order.filled = float(round_to_step(order.filled + amount, lot))
        left = to_decimal(max(order.amount - order.filled, 0.0), terms.lot)
        order.status = "open" if left else "closed"
        self.last_id += 1
        execution = Execution(self.last_id, order.request.client_id, self.place.time, *exact, left)
        self.executions.append(execution)
        return execution

    def _part(self, order: Resting, lot: float) -> float:
        left = float(round_to_step(order.amount - order.filled, lot))
        part = float(floor_to_step(order.amount / self.faults.parts, lot))
        return part if part > 0.0 and 2.0 * part <= left * (1.0 + 1e-9) else left

    def _pay(self, side: int, price: Decimal, amount: Decimal, fee: Decimal) -> str:
        """Move the money; why it cannot be moved."""
        base, quote, cost = self.conditions.base, self.conditions.quote, price * amount
        has = self.balances.setdefault(quote, Decimal(0)), self.balances.setdefault(base, Decimal(0))
        if amount <= 0:
            return "it came to nothing at the market's smallest step"
        if side > 0 and cost + fee > has[0]:
            return f"it costs {cost + fee:f} {quote}, and the account holds {has[0]:f}"
        if side < 0 and amount > has[1]:
            return f"it sells {amount:f} {base}, and the account holds {has[1]:f}"
        self.balances[quote] -= side * cost + fee
        self.balances[base] += side * amount
        return ""

    def _tell(self, kind: str, **what: Any) -> Moment:
        place = self.place
        assert place.price is not None
        place.number += 1
        place.quiet = False
        return Moment(place.number, kind, place.time, place.price, **what)
