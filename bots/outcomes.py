"""What a stretch of candles did to one run: its new figures, and the rows that came into being. Stores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from django.utils import timezone

from bots.book import FIGURES, Book
from bots.engine.run import Engine
from bots.engine.simulate import Steps
from bots.engine.types import FAILED, STOPPED
from bots.models import Bot, EquitySnapshot, Event, FundingPayment, Run, Trade
from bots.quiet import EQUITY_EVERY
from bots.records import (
    ExactPayment,
    ExactTrade,
    Told,
    digits_of,
    exact_payment,
    exact_trade,
    in_order,
    moment,
    note_event,
    payment_event,
    trade_event,
)
from markets.series import Candles

UNPAID: Told = (
    Event.Level.WARNING, "funding", "The funding rate is not known: nothing was paid or received for the position.", {},
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """One run after a stretch: its row with the new figures, and the rows that came into being."""

    run: Run
    engine: Engine | None = None
    trades: list[ExactTrade] = field(default_factory=list)
    trade_rows: list[Trade] = field(default_factory=list)
    payment_rows: list[FundingPayment] = field(default_factory=list)
    holdings: list[tuple[Decimal, Decimal]] = field(default_factory=list)  # position and its average after each trade
    equity: list[EquitySnapshot] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    orders_changed: bool = False
    ended: str = ""  # the bot's new status when the run is over

    @classmethod
    def of(cls, run: Run, engine: Engine, steps: Steps, candles: Candles, unknown_rate: int | None = None) -> Outcome:
        """Take over what the engine did; nothing is stored yet.

        unknown_rate: when funding settled, ms UTC, whose rate nobody told.
        """
        outcome = cls(run, engine)
        kind, market, digits = engine.kind, run.market, digits_of(run.market, run.terms)
        outcome.equity = _equity_rows(run, steps, candles)
        outcome.trades = [exact_trade(record, kind, digits) for record in steps.trades]
        outcome.events += _gap_events(run, candles)
        if unknown_rate is not None and run.position:
            outcome.events.append(event_row(run, UNPAID, moment(unknown_rate)))
        payments = [exact_payment(record, digits) for record in steps.payments]
        outcome._book(candles, payments)
        outcome.events += [event_row(run, note_event(note, kind), moment(note["time"])) for note in steps.notes]
        outcome.events += [
            event_row(run, trade_event(row, trade, kind, market), trade.time)
            for row, trade in zip(outcome.trade_rows, outcome.trades, strict=True)
        ]
        outcome.events += [event_row(run, payment_event(payment, market), payment.time) for payment in payments]
        outcome.events.sort(key=lambda event: event.time)
        outcome._take_state()
        return outcome

    @classmethod
    def failure(cls, run: Run, reason: str) -> Outcome:
        """A run that cannot go on: its orders are withdrawn, its position is kept."""
        outcome = cls(run, orders_changed=True, ended=Bot.Status.FAILED)
        outcome.events.append(event_row(run, (Event.Level.ERROR, "failed", reason, {}), timezone.now()))
        return outcome

    def _book(self, candles: Candles, payments: Sequence[ExactPayment]) -> None:
        """Book trades and payments exactly, one row each, and the figures of the last candle."""
        run = self.run
        book = Book(*(getattr(run, name) for name in FIGURES))
        for step in in_order(self.trades, payments):
            if isinstance(step, ExactPayment):
                book.pay(step.paid)
                self.payment_rows.append(_payment_row(run, step))
                continue
            realized = book.apply(step.direction, step.price, step.amount, step.fee)
            run.trades_count += 1
            self.trade_rows.append(_trade_row(run, step, realized))
            self.holdings.append((book.position, book.average))
        book.check()
        for name in FIGURES:
            setattr(run, name, getattr(book, name))
        run.last_price = float(candles.close[-1])
        run.equity = book.equity(Decimal(repr(run.last_price)))
        run.bar_time = int(candles.time[-1])

    def _take_state(self) -> None:
        assert self.engine
        before = bytes(self.run.orders)
        self.run.state, self.run.orders = self.engine.save()
        self.orders_changed = bool(self.trades) or before != self.run.orders
        status = int(self.engine.run["status"][0])
        # One that ended itself at a close still has to close its position, at the next open.
        if status in (STOPPED, FAILED) and not self.engine.wanted().size:
            self.ended = Bot.Status.STOPPED if status == STOPPED else Bot.Status.FAILED


def _payment_row(run: Run, payment: ExactPayment) -> FundingPayment:
    return FundingPayment(run=run, bot_id=run.bot_id, **asdict(payment))


def _trade_row(run: Run, trade: ExactTrade, realized: Decimal) -> Trade:
    return Trade(
        run=run,
        number=run.trades_count,
        bot_id=run.bot_id,
        owner_id=run.bot.owner_id,
        market_id=run.market_id,
        mode=run.mode,
        client_id=client_id(run, trade.sequence),
        time=trade.time,
        side=trade.side,
        price=trade.price,
        amount=trade.amount,
        fee=trade.fee,
        fee_currency=run.market.quote,
        realized=realized,
        tag=trade.tag,
    )


def client_id(run: Run, sequence: int) -> str:
    """Identity of an order, on the exchange too: the same decision always has the same one."""
    return f"r{run.pk}-{sequence}"


def event_row(run: Run, told: tuple[str, str, str, dict[str, Any]], time: Any) -> Event:
    level, code, message, data = told
    return Event(
        owner_id=run.bot.owner_id, bot_id=run.bot_id, run=run, time=time, level=level, code=code,
        message=message[:500], data=data,
    )  # fmt: skip


def _gap_events(run: Run, candles: Candles) -> list[Event]:
    """A word for every hole in what the run is shown: nothing could be traded in it."""
    times = np.concatenate([[run.bar_time], candles.time])
    missing = np.diff(times) // (run.timeframe * 1000) - 1
    return [
        event_row(
            run,
            (Event.Level.WARNING, "gap", f"{missing[at]} candles are missing; nothing was traded in them.", {}),
            moment(times[at]),
        )
        for at in np.flatnonzero(missing > 0)
    ]


def _equity_rows(run: Run, steps: Steps, candles: Candles) -> list[EquitySnapshot]:
    """Points of the equity curve at the closes that fall on the five minutes."""
    closes = candles.time + run.timeframe * 1000
    marks = np.flatnonzero(closes % EQUITY_EVERY == 0)
    if not marks.size:
        return []
    trades = steps.trades
    moved = np.concatenate([[0.0], np.cumsum(trades["side"] * trades["amount"])])
    position = float(run.position) + moved[np.searchsorted(trades["time"], candles.time[marks], side="right")]
    price, equity = candles.close[marks], steps.equity[marks]
    columns = (closes[marks], equity, equity - position * price, position, price)
    return [
        EquitySnapshot(bot_id=run.bot_id, run=run, time=moment(t), equity=e, cash=c, position=p, price=x)
        for t, e, c, p, x in zip(*(column.tolist() for column in columns), strict=True)
    ]
