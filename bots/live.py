"""Live runs: what happened on the exchange is told to the engine, and what it wants is told to the exchange.

One turn asks the exchange one thing outside of any transaction and stores the answer in one. An order is committed
before it is sent, and an answer counts once it is committed: whoever is killed in between, the next one looks the
order up by its client id, and is told again what happened. A lock of the database makes one worker at a time lead a
run; it falls with the connection of who held it, and a user's clicks never wait for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeAlias

from django.db import DataError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from bots import funding, live_ends, live_funding, live_margin, live_orders, live_turn
from bots.batch import FAULTS
from bots.brokers import Broker, ExchangeBroker
from bots.engine import reactions
from bots.engine.run import Engine
from bots.engine.types import BUY
from bots.live_ends import kept_engine
from bots.live_orders import UNSETTLED, Status
from bots.models import Event, LiveSession, Mode, Order, Run
from bots.outcomes import event_row
from markets.gateway import GatewayError
from markets.models import Feed
from markets.surface import Alert, Moment, Watch
from orchestrator.observability.metrics import ORDER_LATENCY

log = logging.getLogger(__name__)

_LOCKS = 0x11FE  # first half of the name of a run's lock
# Client ids of orders that this worker has just stored, with the time.monotonic() of then.
Fresh: TypeAlias = dict[str, float]
_LOST = "how far it has followed its exchange is not stored any more: look at its orders and executions there."
_PAST = 0  # as the last candle to hear of: only what happened already


# Of a run: its feed, where that holds candles which the run has not seen.
_AHEAD = Feed.objects.filter(
    market=OuterRef("market"), timeframe=OuterRef("timeframe"), synced_to__gt=OuterRef("bar_time")
)


def due() -> QuerySet[Run]:
    """Live runs that have something to hear from or to tell their exchange."""
    untold = Order.objects.filter(run=OuterRef("pk"), status__in=UNSETTLED)
    # One that was told to stop ends, paused or halted in the meantime or not.
    ending = ~Q(status=Run.Status.STOPPED) & ~Q(session__stopping="")
    hears = Q(Exists(_AHEAD), funding.KNOWN, status=Run.Status.RUNNING) | ending
    moving = Q(session__margin__in=live_margin.MOVING)
    return Run.objects.filter(hears | moving | Q(Exists(untold)), mode=Mode.LIVE).order_by("id")


def advance_due(stored: Callable[[Iterable[datetime | None]], None] = lambda candles: None) -> int:
    """Lead all live runs to where their feeds are; returns how many turns were made.

    stored: called after each run's turns, with when the candle was stored that it heard of.
    What an exchange that does not answer has to be told stays in the rows, for the next time.
    """
    turns, silent = 0, set()
    candle_at = Subquery(_AHEAD.values("checked_at"))
    for run_id, exchange_id, at in due().annotate(at=candle_at).values_list("pk", "market__exchange", "at"):
        if exchange_id not in silent:
            made, answered = advance(run_id)
            turns += made
            if made:
                stored([at])
            if not answered:
                silent.add(exchange_id)
    return turns


def advance(run_id: int, broker: Broker | None = None, until: int | None = None) -> tuple[int, bool]:
    """Lead one run until there is nothing left to do: (turns made, False when its exchange does not answer).

    until: open time of the last candle to hear of, ms UTC; default: where the feed is, or before a candle whose funding
    rate is waited for. A run that another worker leads is left to it.
    """
    turns = 0
    with _sole(run_id) as mine:
        if not mine:
            return 0, True
        fresh: Fresh = {}
        try:
            run = Run.objects.select_related("bot", "market__exchange").get(pk=run_id)
            broker = broker or ExchangeBroker.of(run)
            last = _last_candle(run) if until is None else until
            while _turn(run_id, broker, last, fresh) or _look_over(run_id, broker):
                turns += 1
        except GatewayError as error:
            _troubled(run_id, str(error))
            return turns, False
        except LiveSession.DoesNotExist:
            log.error("run %s has lost its session", run_id)
            live_ends.fail(run_id, _LOST)
            return turns + 1, True
        except (*FAULTS, DataError) as error:
            log.exception("run %s cannot go on", run_id)
            live_ends.fail(run_id, str(error))
            return turns + 1, True
        _recovered(run_id)
    return turns, True


@contextmanager
def _sole(run_id: int) -> Iterator[bool]:
    """True for the one worker that may lead a run; the lock is the connection's, so it dies with its holder."""
    key = (_LOCKS, run_id % 2**31)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def _last_candle(run: Run) -> int:
    """Open time of the last candle that a run may hear of now, ms UTC."""
    found = Feed.objects.filter(market=run.market_id, timeframe=run.timeframe).values_list("synced_to", flat=True)
    synced_to = next(iter(found), None) or _PAST
    if run.market.type != "swap" or synced_to <= run.bar_time:
        return synced_to
    return live_funding.last_candle(run, synced_to)


def _turn(run_id: int, broker: Broker, last: int, fresh: Fresh) -> bool:
    """Tell the exchange what it does not know, or hear the next thing from it; False when there is neither."""
    # How far it is comes before what is to be told: rows that belong to a later moment do no harm.
    session = LiveSession.objects.select_related("run__bot", "run__market").get(run=run_id)
    run = session.run
    untold = live_orders.unsettled(run_id)
    if untold:
        _tell(run, untold, broker, fresh)
        return True
    if session.margin in live_margin.MOVING:
        adds = session.margin == LiveSession.Margin.TO_ADD
        live_margin.record(run_id, broker.add_margin(run) if adds else broker.withdraw_margin(run))
        return True
    if run.status == Run.Status.STOPPED:
        return False
    engine = kept_engine(run)
    over = live_ends.is_over(engine)
    still = over or run.status == Run.Status.PAUSED
    moment = broker.go_on(session.moment, _watch(engine, run.bar_time, _PAST if still else last))
    if moment:
        fresh |= dict.fromkeys(live_turn.react(run_id, _next(moment, session)), time.monotonic())
    elif over:
        fresh |= dict.fromkeys(live_ends.finish(run_id), time.monotonic())
        return bool(live_orders.unsettled(run_id)) or live_margin.is_moving(run_id)
    return bool(moment)


def _look_over(run_id: int, broker: Broker) -> bool:
    """Take note of orders that somebody else withdrew on the exchange, which nothing will be heard of any more.

    When all there is to hear was heard: what is on the book then is what the rows say, or somebody took it off.
    """
    gone = broker.withdrawn(live_orders.resting(run_id))
    return bool(gone) and live_turn.lose(run_id, gone)


def _next(moment: Moment, session: LiveSession) -> Moment:
    """The moment itself. Raises ValueError when one before it was never heard of."""
    if moment.number != session.moment + 1:
        raise ValueError(
            f"the exchange tells of moment {moment.number}, the bot knows of {session.moment} alone: "
            "look at its orders there."
        )
    return moment


def _watch(engine: Engine, seen: int, until: int) -> Watch:
    run = engine.run[0]
    alerts = [Alert(slot, "buy" if side == BUY else "sell", price) for slot, side, price in reactions.alerts(engine)]
    return Watch(alerts, float(run["wake_low"]), float(run["wake_high"]), reactions.due(engine), until, seen + 1)


def _tell(run: Run, untold: list[Order], broker: Broker, fresh: Fresh) -> None:
    """Send and withdraw what is to be; what was answered is stored even if the next answer does not come."""
    engine = kept_engine(run) if run.status != Run.Status.STOPPED else None
    answers: list[live_turn.Answer] = []
    try:
        for row in untold:
            if row.status == Status.CANCELING:
                answers.append((row, broker.cancel(row)))
            elif engine:
                stored = fresh.pop(row.client_id, None)
                answers.append((row, broker.place(row, live_orders.cost_of(engine, row), stored is not None)))
                if stored is not None:
                    ORDER_LATENCY.observe(time.monotonic() - stored)
    finally:
        live_turn.record(run.pk, answers)


def _troubled(run_id: int, reason: str) -> None:
    """Say once that the exchange does not answer."""
    log.warning("run %s: %s", run_id, reason)
    with transaction.atomic():
        if LiveSession.objects.filter(run=run_id, trouble="").update(trouble=reason[:300]):
            _say(run_id, Event.Level.WARNING, f"{reason} Orders and withdrawals wait until it answers.")


def _recovered(run_id: int) -> None:
    with transaction.atomic():
        if LiveSession.objects.filter(run=run_id).exclude(trouble="").update(trouble=""):
            _say(run_id, Event.Level.INFO, "The exchange answers again.")


def _say(run_id: int, level: str, sentence: str) -> None:
    run = Run.objects.select_related("bot").get(pk=run_id)
    event_row(run, (level, "exchange", sentence, {}), timezone.now()).save()
