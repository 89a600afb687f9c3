"""The periodic jobs a fresh installation gets; afterwards the rows in the admin are the truth."""

from __future__ import annotations

from typing import NamedTuple

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask


class Schedule(NamedTuple):
    name: str
    task: str
    seconds: int
    help: str


SCHEDULES = (
    Schedule("Sync candles", "markets.tasks.sync_candles", 5, "Fetches the candles that closed since the last time."),
    Schedule("Advance runs", "bots.tasks.advance_runs", 5, "Gives running bots what closed, predictions included."),
    Schedule(
        "Advance live runs", "bots.tasks.advance_live_runs", 5, "Hears what exchanges did, and tells them what to do."
    ),
    Schedule("Deliver notifications", "bots.tasks.deliver_notifications", 5, "Tells people's channels what happened."),
    Schedule("Watch feeds", "bots.tasks.watch_feeds", 60, "Tells bots that their candles stay away, or come again."),
    Schedule("Compute indicators", "markets.tasks.compute_indicators", 60, "Catches up on candles that closed."),
    Schedule("Warm the cache", "orchestrator.tasks.warm_cache", 10, "Renews what is read often before it expires."),
    Schedule("Snapshot equity", "bots.tasks.snapshot_equity", 60, "Notes what each running bot is worth."),
    Schedule(
        "Repair gaps", "markets.tasks.repair_gaps", 3600, "Asks again for missing candles, and notes what is not."
    ),
    Schedule("Run backtests", "bots.tasks.run_backtests", 15, "Works on backtests that wait, or whose worker died."),
    Schedule("Remove old candles", "markets.tasks.apply_retention", 3600, "Deletes candles past their keeping time."),
    Schedule("Sample performance", "orchestrator.tasks.sample_performance", 60, "Keeps what was counted, by minute."),
    Schedule("Watch budgets", "dashboard.tasks.watch_budgets", 60, "Tells staff what has broken a budget for long."),
    Schedule("Remove old samples", "orchestrator.tasks.apply_retention", 3600, "Deletes findings and samples."),
    Schedule("Remove old events", "bots.tasks.apply_retention", 3600, "Deletes events past their keeping time."),
)


@transaction.atomic
def create_missing() -> list[str]:
    """Add the schedules that have no row yet and return their names; a row once made is never changed.

    A message that waited for three periods (30 s at least) is dropped: the next one does its work as well, and a
    worker that was down must not find a backlog.
    """
    known = set(
        PeriodicTask.objects.filter(name__in=[schedule.name for schedule in SCHEDULES]).values_list("name", flat=True)
    )
    missing = [schedule for schedule in SCHEDULES if schedule.name not in known]
    for schedule in missing:
        interval, _ = IntervalSchedule.objects.get_or_create(every=schedule.seconds, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.create(
            name=schedule.name,
            task=schedule.task,
            interval=interval,
            expire_seconds=max(30, 3 * schedule.seconds),
            description=schedule.help,
        )
    return [schedule.name for schedule in missing]
