"""Workers, queue and periodic jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from orchestrator.broker import UNREACHABLE

PING_SECONDS = 0.3
NOTED_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Job:
    """A periodic job: due when it should start next, or None: as soon as beat looks."""

    name: str
    task: str
    every: timedelta | None
    last: datetime | None
    runs: int

    @property
    def due(self) -> datetime | None:
        return self.last + self.every if self.last and self.every else None

    def is_overdue(self, now: datetime) -> bool:
        """Three periods late, and the minutes after which beat notes what it started."""
        return bool(self.last and self.every and now > self.last + 3 * self.every + NOTED_AFTER)

    def is_ahead(self, now: datetime) -> bool:
        """Started later than now: the clock was set back since."""
        return bool(self.last and self.last > now + NOTED_AFTER)


@dataclass(frozen=True, slots=True)
class Broker:
    """What it answered: names of workers, and messages that none has taken; None where it did not."""

    workers: list[str] | None
    waiting: int | None


def ask() -> Broker:
    """Once for all that is shown: it takes PING_SECONDS at least."""
    answered = workers()
    return Broker(answered, None if answered is None else waiting())


def jobs() -> list[Job]:
    enabled = PeriodicTask.objects.filter(enabled=True).select_related("interval").order_by("name")
    return [Job(one.name, one.task, _period(one), one.last_run_at, one.total_run_count) for one in enabled]


def _period(task: PeriodicTask) -> timedelta | None:
    return task.interval.schedule.run_every if task.interval else None


def workers() -> list[str] | None:
    """Names of the workers that answer; None when the broker does not."""
    try:
        answers = current_app.control.ping(timeout=PING_SECONDS)
    except UNREACHABLE:
        return None
    return sorted(name for answer in answers or [] for name in answer)


def waiting() -> int | None:
    """Messages in the queue that no worker has taken; None when the broker does not answer."""
    try:
        with current_app.connection_for_read() as broker:
            channel: Any = broker.default_channel  # kombu's one for Redis
            return int(channel.client.llen(settings.CELERY_TASK_DEFAULT_QUEUE))
    except UNREACHABLE:
        return None
