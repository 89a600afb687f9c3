from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from orchestrator import schedules
from orchestrator.beat import Scheduler
from orchestrator.celery import app

HOUR = timedelta(hours=1)


@pytest.fixture
def hour_back(transactional_db):
    """All jobs were started half an hour ago by a clock that was an hour ahead."""
    schedules.create_missing()
    PeriodicTask.objects.update(last_run_at=timezone.now() + HOUR / 2)


def test_jobs_go_on_after_the_clock_was_set_back(hour_back):
    entries = Scheduler(app=app).schedule
    for schedule in schedules.SCHEDULES:
        is_due, seconds = entries[schedule.name].is_due()
        assert not is_due
        assert schedule.seconds - 1 < seconds <= schedule.seconds
        assert entries[schedule.name].last_run_at <= timezone.now()


def test_a_beat_that_runs_looks_again_when_the_clock_goes_back_behind_its_last_look(hour_back):
    beat = Scheduler(app=app)
    first = beat.schedule
    assert beat.schedule is first
    beat._last_full_sync = datetime.now() + HOUR  # noqa: DTZ005
    again = beat.schedule
    assert again is not first
    assert beat.schedule is again


def test_beat_is_started_with_it():
    assert app.conf.beat_scheduler == "orchestrator.beat:Scheduler"
