"""Whose a backtest is while it is worked on: claimed with a token, kept by signs of life, given up after some tries.

A row bears the token of who claimed it, and whatever he writes is written under that token alone: who was thought dead
and taken over from writes nothing any more. Signs of life come from a thread of their own, however long the engine
takes over one stretch; they end with the process. The database's clock dates them, as those of workers may differ. One
that took several workers with it is answered with that.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from bots.models import Backtest

log = logging.getLogger(__name__)

STALE: Final = timedelta(seconds=60)  # without a sign of life
BEAT: Final = 15.0  # s between two of them
MOST_TRIES: Final = 3
GIVEN_UP: Final = (
    f"Given up: it was begun {MOST_TRIES} times, and each time the worker ended or the database was away before the "
    "answer. Begin it again if that was an outage; else it needs more memory or time than there is: ask for less."
)
State = Backtest.State


class Lost(Exception):
    """It is the caller's no more: cancelled, deleted, or claimed by another."""


def claim() -> Backtest | None:
    """The oldest that waits, or whose worker shows no sign of life; now it is the caller's."""
    _give_up()
    with transaction.atomic():
        rows = Backtest.objects.select_for_update(skip_locked=True, of=("self",)).select_related("market")
        found = rows.filter(Q(state=State.QUEUED) | _abandoned()).order_by("id").first()
        if found is not None:
            found.claimed_by = uuid.uuid4()
            Backtest.objects.filter(pk=found.pk).update(
                state=State.RUNNING, touched_at=Now(), progress=0.0, claimed_by=found.claimed_by, tries=F("tries") + 1
            )
    return found


def _abandoned() -> Q:
    return Q(state=State.RUNNING, touched_at__lt=Now() - STALE)


def _give_up() -> None:
    """Answer those that no worker survived."""
    rows = Backtest.objects.filter(_abandoned(), tries__gte=MOST_TRIES)
    if count := rows.update(state=State.FAILED, progress=1.0, reason=GIVEN_UP, finished_at=timezone.now()):
        log.error("%s backtests ended their workers %s times and are given up", count, MOST_TRIES)


def mine(claimed: Backtest) -> QuerySet[Backtest]:
    """The row, as long as it is his who claimed it."""
    return Backtest.objects.filter(pk=claimed.pk, state=State.RUNNING, claimed_by=claimed.claimed_by)


def show_progress(claimed: Backtest, progress: float) -> None:
    """Raises Lost."""
    if not mine(claimed).update(progress=progress, touched_at=Now()):
        raise Lost


def answer(claimed: Backtest, columns: dict[str, Any]) -> None:
    """Store what came of it, once. Raises Lost."""
    if not mine(claimed).update(finished_at=timezone.now(), **columns):
        raise Lost


def waiting_again() -> dict[str, Any]:
    """Columns of one that begins anew."""
    return {
        "state": State.QUEUED, "progress": 0.0, "reason": "", "finished_at": None, "touched_at": Now(),
        "claimed_by": None, "tries": 0,
    }  # fmt: skip


@contextmanager
def kept_alive(claimed: Backtest) -> Iterator[None]:
    """Show signs of life while the block runs."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(claimed, over), name=f"backtest {claimed.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(claimed: Backtest, over: threading.Event) -> None:
    try:
        while not over.wait(BEAT):
            try:
                mine(claimed).update(touched_at=Now())
            except DatabaseError:  # away for a moment: who needs it more says so
                log.warning("backtest %s shows no sign of life", claimed.pk, exc_info=True)
                connection.close()
    finally:
        connection.close()
