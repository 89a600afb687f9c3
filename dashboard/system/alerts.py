"""Tells staff, by Events, when a budget has been broken for long, and when it holds again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Q

from bots.models import Event
from dashboard.system import jobs
from dashboard.system.audit import Check, Grade, checks
from orchestrator import notify
from orchestrator.models import BrokenBudget
from orchestrator.observability import samples

LOOK_BACK = timedelta(minutes=15)  # what percentiles are taken of
LONG = timedelta(minutes=10)
FORGOTTEN = timedelta(days=7)  # what was told, and could not be judged for so long since, is not waited for
BROKEN, HOLDS = "budget_broken", "budget_holds"
_GATE = 0x62756467  # key of the advisory lock


def watch(now: datetime) -> list[Event]:
    """Note what is broken, tell what has been for LONG, close what holds again; the events that were written."""
    found = checks(samples.between(now - LOOK_BACK, now), now, jobs.ask())
    judged = {check.subject[:200] for check in found}
    broken = {check.subject[:200]: check for check in found if check.grade is Grade.BROKEN}
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: nobody is told twice.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_GATE])
        BrokenBudget.objects.bulk_create(
            (BrokenBudget(subject=subject, since=now) for subject in broken), ignore_conflicts=True
        )
        events = [*_told(broken, now), *_closed(broken, judged, now)]
        Event.objects.bulk_create(events)
        notify.changed(notify.user_topic(event.owner_id) for event in events)
    return events


def _told(broken: dict[str, Check], now: datetime) -> Iterable[Event]:
    due = BrokenBudget.objects.filter(subject__in=broken, told_at=None, since__lte=now - LONG)
    for row in list(due):
        check = broken[row.subject]
        text = f"{check.subject}: {check.value}, wanted {check.target}, since {_stamp(row.since)}. {check.advice}"
        yield from _events(BROKEN, Event.Level.WARNING, text, row, now)
    due.update(told_at=now)


def _closed(broken: Iterable[str], judged: Iterable[str], now: datetime) -> Iterable[Event]:
    """What is too rare to be judged just now has not come back into its budget, and is not told anew."""
    rows = BrokenBudget.objects.exclude(subject__in=broken)
    over = rows.filter(Q(subject__in=judged) | Q(told_at=None) | Q(told_at__lt=now - FORGOTTEN))
    for row in over.filter(subject__in=judged).exclude(told_at=None):
        text = f"{row.subject}: within its budget again. It was not since {_stamp(row.since)}."
        yield from _events(HOLDS, Event.Level.INFO, text, row, now)
    over.delete()


def _stamp(time: datetime) -> str:
    """Events are read days later: an age would be wrong by then."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _events(code: str, level: str, text: str, row: BrokenBudget, now: datetime) -> Iterable[Event]:
    """One for each of the staff."""
    data = {"subject": row.subject, "since": row.since.isoformat()}
    for user in get_user_model().objects.filter(is_staff=True, is_active=True).order_by("pk"):
        yield Event(owner=user, time=now, level=level, code=code, message=text[:500], data=data)
