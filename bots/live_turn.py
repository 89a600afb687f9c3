"""What one thing that happened on an exchange does to a live run: booked, decided, stored, in one transaction.

Nothing here speaks with an exchange.
"""

from __future__ import annotations

import numpy as np
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from bots import live_orders, writes
from bots.engine import reactions
from bots.engine.reactions import Booked, Placed
from bots.engine.run import Engine, Records
from bots.engine.simulate import NO_NOTES, NO_TRADES, Steps
from bots.engine.types import BUY, FAILED, FUNDING, ORDER_TYPES, SELL
from bots.live_ends import kept_engine, locked
from bots.live_orders import Status
from bots.models import Event, LiveSession, Order, Run, Side, Trade
from bots.observations import observe
from bots.outcomes import Outcome, event_row
from bots.records import moment as time_of
from markets import candles as store
from markets.series import Candles, Column
from markets.surface import Execution, Moment, OrderInfo

# Moments at which nothing acts: they do not count against what may happen in one bar.
_NO_ACTS = ("opened", "turned", "funded")


class Turn:
    """A run in the hand of a transaction: what its engine is told, and what came of it."""

    def __init__(self, run: Run, session: LiveSession, engine: Engine) -> None:
        self.run, self.session, self.engine = run, session, engine
        self.trades: list[Records] = []
        self.notes: list[Records] = []
        self.events: list[Event] = []

    def hear(self, moment: Moment) -> None:
        """React to a moment. Raises ValueError for one that makes no sense."""
        session = self.session
        if moment.kind == "opened":
            self._feel(reactions.opened(moment.time, moment.price))
        elif moment.kind == "turned":
            self._feel(reactions.turned(moment.time, moment.price))
        elif moment.kind == "touched":
            self._feel(reactions.touched(moment.time, moment.price, moment.rank))
        elif moment.kind == "executed":
            self._book_all(moment)
        elif moment.kind == "liquidated":
            self._taken_over(moment)
        elif moment.kind == "funded":
            self._feel(reactions.funded(moment.time, moment.price, moment.rate, float(moment.paid)))
        elif moment.kind == "ended" and moment.order:
            self.end(moment.order, moment.time, moment.price)
        elif moment.kind == "closed":
            signal, inputs = self._seen(moment.time)
            self._feel(reactions.closed(moment.time, moment.price, signal, moment.quiet), inputs)
        else:
            raise ValueError(f"a moment must be of a known kind, not {moment.kind!r}.")
        session.moment = moment.number
        session.acts = 0 if moment.kind == "closed" else session.acts + (moment.kind not in _NO_ACTS)
        if session.acts >= reactions.most_events(self.engine):
            self._feel(reactions.circled(moment.time, moment.price, session.acts))

    def _feel(self, event: Records, inputs: Column = reactions.NO_INPUTS) -> Records:
        trades, notes = reactions.react(self.engine, event, inputs)
        self.trades.append(trades)
        self.notes.append(notes)
        return trades

    def _book_all(self, moment: Moment) -> None:
        """Executions that were not booked yet: an exchange may report one as often as it likes."""
        news = {execution.id: execution for execution in moment.executions if execution.id > self.session.execution}
        before: dict[str, Booked] = {}
        for _, execution in sorted(news.items()):
            self._book(moment, execution, before)
            self.session.execution = execution.id

    def _taken_over(self, moment: Moment) -> None:
        """The exchange closed the position. Its execution is of no order of ours; there is one, however often told."""
        news = {execution.id: execution for execution in moment.executions if execution.id > self.session.execution}
        for _, execution in sorted(news.items()):
            side = SELL if self.run.position > 0 else BUY
            figures = float(execution.price), float(execution.amount), float(execution.fee)
            self._feel(reactions.taken_over(moment.time, moment.price, side, execution.time, *figures))
            self.session.execution = execution.id

    def _seen(self, time: int) -> tuple[int, Column]:
        """What the kind sees at a close; nothing once it failed, as it is not asked any more."""
        if int(self.engine.run["status"][0]) == FAILED:
            return 0, reactions.NO_INPUTS
        return seen_at(self.run, self.engine, time)

    def _book(self, moment: Moment, execution: Execution, before: dict[str, Booked]) -> None:
        row = self._row(execution.client_id)
        earlier = before.get(row.client_id) or _booked(self.run, row)
        paid, amount, fee = float(execution.price), float(execution.amount), float(execution.fee)
        done = not execution.left
        (trade,) = self._feel(
            reactions.executed(
                moment.time, moment.price, self._placed(row), execution.time, paid, amount, fee, done, earlier
            )
        )
        before[row.client_id] = earlier.and_one(paid, amount, fee, float(trade["realized"]))
        Order.objects.filter(pk=row.pk).update(
            filled=F("filled") + execution.amount, updated_at=time_of(execution.time)
        )
        if done:
            # One that was for so much money has its amount now.
            Order.objects.filter(pk=row.pk).update(status=Status.CLOSED, amount=F("filled"))

    def end(self, info: OrderInfo, time: int, price: float) -> None:
        """The exchange rejected an order, or canceled what was left of it."""
        row = self._row(info.client_id)
        self._feel(reactions.ended(time, price, self._placed(row), _booked(self.run, row)))
        status = Status.CANCELED if row.filled or not info.reason else Status.REJECTED
        Order.objects.filter(pk=row.pk).update(status=status, updated_at=timezone.now())
        verb = "buy" if row.side == Side.BUY else "sell"
        why = info.reason or "somebody else withdrew the order there, and the bot goes on without it"
        sentence = f"The exchange did not {verb} {row.amount.normalize():f} {self.run.market.base}: {why}."
        told = (Event.Level.WARNING, "rejected", sentence, {"order": row.client_id})
        self.events.append(event_row(self.run, told, time_of(time)))

    def _row(self, client_id: str) -> Order:
        row = Order.objects.filter(run=self.run, client_id=client_id).first()
        if row is None:
            raise ValueError(f"the exchange speaks of order {client_id}, which the bot never placed.")
        return row

    def _placed(self, row: Order) -> Placed:
        return Placed(
            sequence=live_orders.sequence_of(row),
            type=ORDER_TYPES.index(row.type),
            side=BUY if row.side == Side.BUY else SELL,
            tag=self.engine.kind.tags.index(row.tag),
            limit=float(row.price or 0),
        )

    def store(self, closed: int | None = None) -> list[str]:
        """Write down what came of it; returns the client ids that are new to send.

        closed: open time of the candle that is over now, ms UTC.
        """
        run, price = self.run, float(self.engine.run["price"][0])
        trades, notes = np.concatenate([NO_TRADES, *self.trades]), np.concatenate([NO_NOTES, *self.notes])
        worth = float(self.engine.run["cash"][0] + self.engine.run["position"][0] * price)
        stands = Candles.from_rows([(run.bar_time if closed is None else closed, price, price, price, price, 0.0)])
        paid = trades["type"] == FUNDING
        outcome = Outcome.of(run, self.engine, Steps(trades[~paid], trades[paid], notes, np.array([worth])), stands)
        if closed is None:
            outcome.equity = []
        changed = outcome.orders_changed
        # Its orders are on an exchange, and so is what ends it: see bots/live_ends.py.
        outcome.orders_changed, outcome.ended = False, ""
        outcome.events += self.events
        writes.write([outcome])
        self.session.save()
        return live_orders.follow(run, self.engine) if changed and run.status == Run.Status.RUNNING else []


def _booked(run: Run, row: Order) -> Booked:
    """What the executions of an order that are stored come to."""
    booked = reactions.NOTHING_BOOKED
    if row.filled:
        trades = Trade.objects.filter(run=run, client_id=row.client_id).order_by("number")
        for figures in trades.values_list("price", "amount", "fee", "realized"):
            booked = booked.and_one(*map(float, figures))
    return booked


def seen_at(run: Run, engine: Engine, time: int) -> tuple[int, Column]:
    """(signal, inputs) of what the run's kind sees at the close of a stored candle; (0, none) for one that is blind."""
    if engine.kind.observe is None:
        return 0, reactions.NO_INPUTS
    candle = store.load(run.market_id, run.timeframe, time, time + 1)
    seen = observe(engine.kind, engine.params, run.market_id, run.timeframe, candle)
    if not len(seen):
        raise ValueError(f"the candle of {time_of(time):%Y-%m-%d %H:%M} UTC is not stored; its close cannot be judged.")
    return int(seen.signals[-1]), np.ascontiguousarray(seen.inputs[-1], np.float64)


def react(run_id: int, moment: Moment) -> list[str]:
    """Book and decide what a moment asks for; returns the client ids that are new to send. Raises ValueError.

    Does nothing when it was done already.
    """
    with transaction.atomic():
        run, session = locked(run_id)
        if run.status == Run.Status.STOPPED or session.moment != moment.number - 1:
            return []
        turn = Turn(run, session, kept_engine(run))
        turn.hear(moment)
        return turn.store(moment.time if moment.kind == "closed" else None)


Answer = tuple[Order, OrderInfo | None]


def record(run_id: int, answers: list[Answer]) -> None:
    """Store what an exchange answered about orders; an order it rejected is told to the engine, not to the kind."""
    if not answers:
        return
    with transaction.atomic():
        run, session = locked(run_id)
        refused = []
        for row, info in answers:
            if row.status == Status.CANCELING:
                _canceled(row, info)
            elif info and info.status in ("rejected", "canceled") and not info.filled:
                refused.append(info)
            else:
                # One that is to be canceled by now stays so.
                Order.objects.filter(pk=row.pk, status=Status.PENDING).update(status=Status.OPEN)
        if refused and run.status != Run.Status.STOPPED:
            _end_all(run, session, refused)


def lose(run_id: int, gone: list[OrderInfo]) -> bool:
    """Store that orders are over which nobody of us withdrew, unless somebody did meanwhile; whether any were."""
    with transaction.atomic():
        run, session = locked(run_id)
        still_open = {row.client_id for row in live_orders.resting(run_id)}
        lost = [info for info in gone if info.client_id in still_open]
        if lost:
            _end_all(run, session, lost)
        return bool(lost)


def _end_all(run: Run, session: LiveSession, ended: list[OrderInfo]) -> None:
    turn = Turn(run, session, kept_engine(run))
    for info in ended:
        turn.end(info, int(turn.engine.run["time"][0]), float(turn.engine.run["price"][0]))
    turn.store()


def _canceled(row: Order, info: OrderInfo | None) -> None:
    # What was filled of it is booked, or will be told.
    status = Status.CLOSED if info and info.status == "closed" else Status.CANCELED
    if info and info.status == "rejected":
        status = Status.REJECTED
    Order.objects.filter(pk=row.pk).update(status=status, updated_at=timezone.now())
