"""A run in memory that trades on a desk of the simulated exchange: the live path without rows."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from bots.engine import reactions
from bots.engine.reactions import Booked, Placed
from bots.engine.simulate import NO_FUNDING
from bots.engine.types import BUY, LIMIT, NOTE, ORDER_TYPES, SELL, STOP, TRADE
from markets.desk import Desk, Place
from markets.desk_orders import NO_FAULTS, Conditions
from markets.precision import to_decimal
from markets.surface import Alert, OrderRequest, Watch
from tests.bots.engine.made_up import MONEY, TERMS, fresh, observed, terms_for

TICK, LOT = Decimal("0.01"), Decimal("0.001")
ON_BOOK = {LIMIT: "limit", STOP: "stop"}


def conditions(terms=TERMS, leverage=0.0):
    return Conditions(
        "SOL", "USDT", TICK, LOT, terms.min_amount, terms.min_cost, terms.maker, terms.taker, terms.slippage,
        leverage, terms.maintenance, leverage or math.inf,
    )  # fmt: skip


class Listener:
    """Leads an engine along a desk. What it did lies in trades and notes."""

    def __init__(
        self, engine, series, faults=NO_FAULTS, terms=conditions(), money=MONEY, funding=NO_FUNDING  # noqa: B008
    ):  # fmt: skip
        self.engine, self.series, self.funding = engine, series, funding
        self.closed = int(series.time[0]) - 60_000  # the last candle it heard the end of
        # On spot a billionth more, which is what the engine takes for float noise; on margin it would move liquidation.
        money = Decimal(repr(money)) * (1 + Decimal("1e-9") * (not terms.leverage))
        self.desk = Desk(terms, Place(int(series.time[0]) - 60_000), {terms.quote: money}, faults=faults)
        self.seen, self.placed, self.before = observed(engine, series), {}, {}
        self.trades, self.notes, self.ended = [], [], []

    def result(self):
        trades = np.concatenate([np.empty(0, TRADE), *self.trades])
        return trades, np.concatenate([np.empty(0, NOTE), *self.notes])

    def candle(self, after):
        index = int(np.searchsorted(self.series.time, after, side="right"))
        return self.series.row(index) if index < len(self.series) else None

    def run(self, bars=None):
        """To the end of the series, or until so many bars are closed."""
        acts = 0
        while bars is None or bars > 0:
            moment = self.desk.go_on(self.watch(), self.candle, self.rate_due)
            if moment is None:
                break
            acts = 0 if moment.kind == "closed" else acts + (moment.kind in ("touched", "executed", "ended"))
            self.hear(moment)
            if acts >= reactions.most_events(self.engine):
                self.feel(reactions.circled(moment.time, moment.price, acts))
            self.reconcile()
            bars = bars - (moment.kind == "closed") if bars is not None else None
        return self

    def rate_due(self, after, until):
        due = self.funding.rates[(self.funding.times > after) & (self.funding.times <= until)]
        return sum(due.tolist()) if len(due) else None

    def watch(self):
        run = self.engine.run[0]
        sides = {True: "buy", False: "sell"}
        alerts = [Alert(slot, sides[side == BUY], price) for slot, side, price in reactions.alerts(self.engine)]
        return Watch(alerts, run["wake_low"], run["wake_high"], reactions.due(self.engine), 2**62, self.closed + 1)

    def hear(self, moment):
        time, price = moment.time, moment.price
        if moment.kind == "opened":
            self.feel(reactions.opened(time, price))
        elif moment.kind == "turned":
            self.feel(reactions.turned(time, price))
        elif moment.kind == "touched":
            self.feel(reactions.touched(time, price, moment.rank))
        elif moment.kind == "executed":
            for execution in moment.executions:
                self.book(time, price, execution)
        elif moment.kind == "liquidated":
            (execution,) = moment.executions
            side = SELL if self.engine.run["position"][0] > 0 else BUY
            figures = (float(execution.price), float(execution.amount), float(execution.fee))
            self.feel(reactions.taken_over(time, price, side, execution.time, *figures))
        elif moment.kind == "funded":
            self.feel(reactions.funded(time, price, moment.rate, float(moment.paid)))
        elif moment.kind == "ended":
            self.end(time, price, moment.order)
        else:
            self.closed = time
            at = int(np.searchsorted(self.series.time, time))
            signal, inputs = (int(self.seen.signals[at]), self.seen.inputs[at]) if len(self.seen) else (0, np.empty(0))
            self.feel(reactions.closed(time, price, signal, moment.quiet), inputs)

    def feel(self, event, inputs=reactions.NO_INPUTS):
        trades, notes = reactions.react(self.engine, event, inputs)
        self.trades.append(trades)
        self.notes.append(notes)
        return trades

    def book(self, time, price, execution):
        before = self.before.get(execution.client_id, Booked())
        paid, amount, fee = float(execution.price), float(execution.amount), float(execution.fee)
        placed = self.placed[execution.client_id]
        event = reactions.executed(time, price, placed, execution.time, paid, amount, fee, not execution.left, before)
        (trade,) = self.feel(event)
        self.before[execution.client_id] = before.and_one(paid, amount, fee, float(trade["realized"]))

    def end(self, time, price, info):
        self.ended.append(info)
        self.feel(reactions.ended(time, price, self.placed[info.client_id], self.before.get(info.client_id, Booked())))

    def reconcile(self):
        wanted = {str(self.engine.orders["sequence"][slot]): slot for slot in reactions.to_send(self.engine)}
        working = {key for key, order in self.desk.orders.items() if order.status == "open"}
        for key in working - set(wanted):
            self.desk.cancel(key)
        for key, slot in wanted.items():
            if key not in working:
                self.place(key, int(slot))

    def place(self, key, slot):
        order, run, terms = self.engine.orders[slot], self.engine.run[0], self.desk.conditions
        kind, side = ON_BOOK.get(int(order["type"]), "market"), "buy" if order["side"] == BUY else "sell"
        price = to_decimal(order["price"], terms.tick) if kind != "market" else None
        amount = to_decimal(order["amount"], terms.lot)
        cost = Decimal(repr(float(order["cost"]))) if order["cost"] > 0 else Decimal(0)
        fields = (int(order[name]) for name in ("sequence", "type", "side", "tag"))
        self.placed[key] = Placed(*fields, float(order["price"]))
        found = self.desk.accept(OrderRequest(key, kind, side, price, amount, cost, slot))
        if found.status == "rejected":
            self.end(int(run["time"]), float(run["price"]), found.info(terms.lot))
            self.reconcile()


def names(trades):
    return [(ORDER_TYPES[t["type"]], int(t["side"]), float(t["price"]), float(t["amount"])) for t in trades]


def listening(slug, params, series, terms=None, **options):
    terms = terms or terms_for(slug)
    engine = fresh(slug, params, terms)
    leverage = float(engine.setup["leverage"][0])
    return Listener(engine, series, terms=conditions(terms, leverage), **options)
