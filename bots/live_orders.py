"""Order rows of live runs: what the exchange is still to be told is in them, so it is told whatever dies in between.

waiting (a trailing stop, with us) -> pending (to be sent) -> open (answered) -> closed, or canceling -> canceled.
Nothing here speaks with an exchange; bots/live.py does, after these rows are committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import numpy as np
from django.db.models import Q, QuerySet
from django.utils import timezone

from bots.engine import reactions
from bots.engine.run import Engine
from bots.models import Order, Run
from bots.outcomes import client_id
from bots.records import moment
from bots.writes import order_row

Status = Order.Status
UNSETTLED = (Status.PENDING, Status.CANCELING)
ALIVE = (Status.WAITING, Status.PENDING, Status.OPEN)


def unsettled(run_id: int) -> list[Order]:
    """What the exchange is still to be told of, withdrawals first."""
    rows = Order.objects.filter(run=run_id, status__in=UNSETTLED).order_by("status", "id")
    return sorted(rows, key=lambda row: (row.status == Status.PENDING, row.slot, row.pk))


def resting(run_id: int) -> list[Order]:
    """What is open on the exchange, of a run that goes on."""
    return list(Order.objects.filter(run=run_id, run__status=Run.Status.RUNNING, status=Status.OPEN))


def withdraw(runs: Iterable[int] | QuerySet[Run]) -> None:
    """Mark all orders of runs as to be canceled; inside the caller's transaction, needs no exchange.

    The worker tells the exchanges, again and again until they confirm. One that is pending may have been sent.
    """
    rows, now = Order.objects.filter(run__in=runs), timezone.now()
    rows.filter(status__in=(Status.PENDING, Status.OPEN)).update(status=Status.CANCELING, updated_at=now)
    rows.filter(status=Status.WAITING).update(status=Status.CANCELED, updated_at=now)


def follow(run: Run, engine: Engine) -> list[str]:
    """Bring the rows of a run in line with what it wants; returns the client ids of those that are new to send."""
    now = moment(int(engine.run["time"][0]))
    alive = {row.client_id: row for row in Order.objects.filter(run=run, status__in=ALIVE)}
    wanted = {client_id(run, int(engine.orders["sequence"][slot])): int(slot) for slot in engine.wanted()}
    sent = set(reactions.to_send(engine).tolist())
    gone = [row.pk for identity, row in alive.items() if identity not in wanted]
    if gone:
        _give_up(gone, now)
    ready = [row.pk for key, row in alive.items() if row.status == Status.WAITING and wanted.get(key) in sent]
    if ready:
        Order.objects.filter(pk__in=ready).update(status=Status.PENDING, updated_at=now)
    new = [
        order_row(run, engine, slot, now, Status.PENDING if slot in sent else Status.WAITING)
        for key, slot in wanted.items()
        if key not in alive
    ]
    Order.objects.bulk_create(new)
    return [row.client_id for row in new if row.status == Status.PENDING]


def _give_up(gone: list[int], now: datetime) -> None:
    rows = Order.objects.filter(pk__in=gone)
    rows.exclude(status=Status.WAITING).update(status=Status.CANCELING, updated_at=now)
    rows.filter(status=Status.WAITING).update(status=Status.CANCELED, updated_at=now)


def cost_of(engine: Engine, row: Order) -> Decimal:
    """Quote money that an order is for in the place of an amount; 0 when it is for an amount."""
    found = np.flatnonzero((engine.orders["sequence"] == sequence_of(row)) & (engine.orders["cost"] > 0.0))
    return Decimal(repr(float(engine.orders["cost"][found[0]]))) if found.size else Decimal(0)


def sequence_of(row: Order) -> int:
    return int(row.client_id.rsplit("-", 1)[1])


def any_alive(run_id: int) -> bool:
    """True while an order of the run is, or may be, on the exchange."""
    return Order.objects.filter(Q(status__in=ALIVE) | Q(status=Status.CANCELING), run=run_id).exists()
