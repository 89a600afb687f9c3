from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask

from orchestrator import schedules
from orchestrator.celery import app

pytestmark = pytest.mark.django_db


def test_every_schedule_is_created_once():
    assert schedules.create_missing() == [schedule.name for schedule in schedules.SCHEDULES]
    assert schedules.create_missing() == []
    rows = PeriodicTask.objects.filter(task__in=[schedule.task for schedule in schedules.SCHEDULES])
    assert {(row.task, row.interval.every) for row in rows.select_related("interval")} == {
        (schedule.task, schedule.seconds) for schedule in schedules.SCHEDULES
    }


def test_an_operators_edit_is_kept():
    schedules.create_missing()
    PeriodicTask.objects.filter(name="Sync candles").update(enabled=False, expire_seconds=7)
    PeriodicTask.objects.filter(name="Advance runs").delete()
    out = StringIO()
    call_command("sync_schedules", stdout=out)
    assert out.getvalue() == "Added: Advance runs.\n"
    assert list(PeriodicTask.objects.filter(name="Sync candles").values_list("enabled", "expire_seconds")) == [
        (False, 7)
    ]


def test_messages_expire_so_that_no_backlog_piles_up():
    schedules.create_missing()
    assert not PeriodicTask.objects.filter(name__in=[s.name for s in schedules.SCHEDULES], expire_seconds=None).exists()


def test_every_schedule_names_a_task_that_exists():
    app.loader.import_default_modules()
    assert [schedule.task for schedule in schedules.SCHEDULES if schedule.task not in app.tasks] == []
