"""How live runs end: their orders are withdrawn first, and the exchange has to confirm it; then their money is free.

On a swap nothing is kept: the position is closed, then the margin goes back to the account (bots/live_margin.py).
Nothing here speaks with an exchange: bots/live.py does, from the rows.
"""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from bots import closing, live_orders, rows, writes
from bots.book import FIGURES
from bots.claims import constants_of
from bots.engine.run import Engine
from bots.engine.types import FAILED, NONE, STOPPED
from bots.models import Bot, Event, LiveSession, Mode, Order, Run
from bots.outcomes import event_row
from orchestrator import notify

Stopping, Margin = LiveSession.Stopping, LiveSession.Margin
# One that fails again then is given up.
_LAST_RESORT = (Stopping.FAILED, Stopping.CLOSING)


def locked(run_id: int) -> tuple[Run, LiveSession]:
    """A run and how far it followed its exchange, locked until the transaction ends."""
    run = Run.objects.select_related("bot__account", "market__exchange").select_for_update(of=("self",)).get(pk=run_id)
    return run, LiveSession.objects.select_for_update().get(run=run)


def kept_engine(run: Run) -> Engine:
    """The engine as a live run left it, which is stored whole with every moment. Raises ValueError."""
    return constants_of(run).restore(bytes(run.state), bytes(run.orders))


def is_over(engine: Engine) -> bool:
    """True for a run that ended itself and wants nothing any more."""
    return int(engine.run["status"][0]) in (STOPPED, FAILED) and not engine.wanted().size


def begin(run: Run, engine: Engine, close_position: bool, opening: str) -> None:
    """Have a run end; inside the transaction of the caller, who has locked it. opening: how its last Event begins."""
    session = LiveSession.objects.select_for_update().get(run=run)
    engine.orders["type"] = NONE
    engine.run["status"] = STOPPED
    run.state, run.orders = engine.save()
    run.status = Run.Status.RUNNING
    run.save(update_fields=["state", "orders", "status"])
    live_orders.withdraw([run.pk])
    session.stopping = Stopping.CLOSE if close_position else Stopping.KEEP
    session.opening = opening[:100]
    session.save(update_fields=["stopping", "opening"])


def finish(run_id: int) -> list[str]:
    """End a run that is over, once nothing of it is on the exchange; or sell what it holds first, if that was asked.

    Returns the client ids that are new to send.
    """
    with transaction.atomic():
        run, session = locked(run_id)
        engine = kept_engine(run)
        if run.status == Run.Status.STOPPED or not is_over(engine) or live_orders.any_alive(run_id):
            return []
        if run.position and _closes(run, session):
            session.stopping = Stopping.CLOSING
            session.save(update_fields=["stopping"])
            closing.want_closed(run, engine)
            run.state, run.orders = engine.save()
            run.save(update_fields=["state", "orders"])
            return live_orders.follow(run, engine)
        if session.margin == Margin.THERE:
            session.margin = Margin.TO_RETURN
            session.save(update_fields=["margin"])
        else:
            conclude(run, session)
        return []


def _closes(run: Run, session: LiveSession) -> bool:
    """Whether a run that is over is to close its position now; asked once."""
    if run.market.type == "swap":
        return session.stopping != Stopping.CLOSING
    return session.stopping == Stopping.CLOSE


def conclude(run: Run, session: LiveSession) -> None:
    """End a run of which nothing is on the exchange any more; inside the transaction of the caller, who locked it."""
    failed = int(kept_engine(run).run["status"][0]) == FAILED
    _end(run, Bot.Status.FAILED if failed else Bot.Status.STOPPED, _farewell(run, session))
    if not session.opening:
        writes.end_event(run, timezone.now(), bool(writes.after_drawdown([run]))).save()


def _farewell(run: Run, session: LiveSession) -> str:
    """Why the run ended: what was told last, or that a person wanted it."""
    if not session.opening:
        last = Event.objects.filter(run=run).exclude(code="margin").order_by("-id").first()
        return f"{last.message if last else ''}{closing.kept(run)}"
    rest = ""
    if session.stopping == Stopping.CLOSING:
        rest = closing.told(run, Order.objects.filter(run=run, tag="close", filled__gt=0).exists())
    elif run.position:
        rest = ", its position is kept in the account"
    sentence = f"{session.opening}: its orders are withdrawn{rest}."
    event_row(run, (Event.Level.INFO, "stopped", sentence, {}), timezone.now()).save()
    return sentence


def fail(run_id: int, reason: str) -> None:
    """End a run that cannot go on: its orders are to be withdrawn, its position is kept, but closed on a swap."""
    with transaction.atomic():
        _restore_session(run_id)
        run, session = locked(run_id)
        if run.status == Run.Status.STOPPED:
            return
        live_orders.withdraw([run.pk])
        event_row(run, (Event.Level.ERROR, "failed", reason, {}), timezone.now()).save()
        if run.market.type == "swap" and run.position and session.stopping not in _LAST_RESORT:
            flat = _from_book(run)
            if flat:
                _close_first(run, session, flat, reason)
                return
        if session.margin == Margin.THERE:
            session.margin = Margin.TO_RETURN
            session.save(update_fields=["margin"])
        _end(run, Bot.Status.FAILED, reason)


def _restore_session(run_id: int) -> None:
    """A session for a run that lost its own: enough to withdraw its orders and to ask for its margin, not to go on."""
    run = Run.objects.select_related("market").get(pk=run_id)
    margin = Margin.THERE if run.market.type == "swap" else Margin.NONE
    LiveSession.objects.get_or_create(run=run, defaults={"margin": margin})


def _from_book(run: Run) -> Engine | None:
    """An engine that failed, and knows of a run what is in its book alone; None when its kind has no constants."""
    try:
        constants = constants_of(run)
    except ValueError:
        return None
    engine = replace(constants, run=constants.run.copy(), orders=constants.orders.copy())
    for name in FIGURES:
        engine.run[name] = float(getattr(run, name))
    engine.run["status"], engine.run["time"], engine.run["price"] = FAILED, run.bar_time, run.last_price or 0.0
    engine.run["fills"] = run.trades_count
    placed = Order.objects.filter(run=run).values_list("client_id", flat=True)
    engine.run["sequence"] = max((int(client_id.rsplit("-", 1)[1]) for client_id in placed), default=0)
    return engine


def _close_first(run: Run, session: LiveSession, flat: Engine, reason: str) -> None:
    """Nobody looks after the margin of a position once its run is over: it is closed, and the run ends then."""
    run.state, run.orders = flat.save()
    run.status = Run.Status.RUNNING
    run.save(update_fields=["state", "orders", "status"])
    session.stopping, session.opening = Stopping.FAILED, f"Failed, {reason}"[:99].rstrip(".")
    session.save(update_fields=["stopping", "opening"])


def _end(run: Run, status: str, reason: str) -> None:
    writes.end(run, status, reason)
    rows.update([run], "status", "reason", "stopped_at")
    rows.update([run.bot], "status", "reason", "updated_at")
    writes.let_go([run])
    if run.mode != Mode.REPLAY:
        notify.changed([notify.bot_topic(run.bot.owner_id, run.bot_id)])
