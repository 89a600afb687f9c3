"""The margin of live runs on swaps: moved out of their account when they start, and back when they are over.

It is isolated: what a run was given is all that its position can lose. What is to be moved is written in the run's row
before the exchange is told, and has a client id: told again after a crash, the exchange answers what it did the first
time. Until it has confirmed, the money counts where it was. Nothing here speaks with an exchange: bots/live.py does.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from bots import balances, live_ends
from bots.live_ends import Margin, locked
from bots.models import Event, LiveSession, Mode, Run
from bots.outcomes import event_row
from markets.surface import Transfer

MOVING = (Margin.TO_ADD, Margin.TO_RETURN)


def open_session(run: Run) -> LiveSession:
    """How far a new live run has followed its exchange: not at all. On a swap its margin comes first."""
    margin = Margin.TO_ADD if run.market.type == "swap" else Margin.NONE
    return LiveSession.objects.create(run=run, margin=margin)


def adding_id(run: Run) -> str:
    """Client id of the transfer of a run's margin from its account."""
    return f"r{run.pk}-in"


def returning_id(run: Run) -> str:
    """Client id of the transfer of what is left of it back to the account."""
    return f"r{run.pk}-out"


def is_moving(run_id: int) -> bool:
    """True while the exchange is to move a run's money."""
    return LiveSession.objects.filter(run=run_id, margin__in=MOVING).exists()


def record(run_id: int, told: Transfer) -> None:
    """Store what the exchange answered; does nothing when that was done already."""
    with transaction.atomic():
        run, session = locked(run_id)
        if session.margin == Margin.TO_ADD and told.client_id == adding_id(run):
            _added(run, session, told)
        elif session.margin == Margin.TO_RETURN and told.client_id == returning_id(run):
            _returned(run, session, told)


def _added(run: Run, session: LiveSession, told: Transfer) -> None:
    over, quote = run.status == Run.Status.STOPPED, run.market.quote
    if told.reason:
        session.margin = Margin.NONE
        session.save(update_fields=["margin"])
        _release(run, run.allocation)
        if not over:
            live_ends.fail(run.pk, f"The exchange did not move {_plain(run.allocation)} {quote}: {told.reason}.")
        return
    # One that failed in the meantime wants it back at once.
    session.margin = Margin.TO_RETURN if over else Margin.THERE
    session.save(update_fields=["margin"])
    _say(run, Event.Level.INFO, f"{_plain(told.amount)} {quote} moved from the account to the margin of this run.")


def _returned(run: Run, session: LiveSession, told: Transfer) -> None:
    quote = run.market.quote
    session.margin = Margin.STUCK if told.reason else Margin.NONE
    session.save(update_fields=["margin"])
    if run.status != Run.Status.STOPPED:
        live_ends.conclude(run, session)
    if told.reason:
        sentence = f"The exchange did not move the margin back to the account: {told.reason}. It stays with the run."
        _say(run, Event.Level.ERROR, sentence)
        return
    _release(run, told.amount)
    _say(run, Event.Level.INFO, f"{_plain(told.amount)} {quote} of margin moved back to the account.")


def _release(run: Run, amount: Decimal) -> None:
    if run.mode != Mode.REPLAY:
        balances.release(run.bot.account, run.market.quote, amount)


def _say(run: Run, level: str, sentence: str) -> None:
    event_row(run, (level, "margin", sentence, {}), timezone.now()).save()


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
