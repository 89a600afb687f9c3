from __future__ import annotations

import pytest
from celery import current_app

from orchestrator.models import Finding
from orchestrator.observability import samples, tasks


def counts(metric, name):
    found = samples.current().get((metric, name))
    return found[-1] if found else 0


@pytest.fixture
def task():
    @current_app.task(name="tests.counted")
    def counted(fail=False):
        if fail:
            raise ValueError("told to")

    yield counted
    current_app.tasks.unregister("tests.counted")


def test_run_time_and_failures_are_counted(db, task):
    before = counts("task", "tests.counted")
    task.apply(throw=True)
    task.apply(kwargs={"fail": True})
    assert counts("task", "tests.counted") == before + 2


def test_waiting_is_counted_from_when_it_was_sent(db, task):
    before = counts("wait", "tests.counted")
    task.apply(headers={tasks.SENT: 0.0})
    task.apply(headers={tasks.SENT: 1_000_000_000.0})
    assert counts("wait", "tests.counted") == before + 1


def test_a_slow_task_is_a_finding(transactional_db, task, monkeypatch):
    monkeypatch.setattr(tasks, "SLOW_SECONDS", -1.0)
    task.apply(throw=True)
    assert Finding.objects.get().place == "tests.counted"
