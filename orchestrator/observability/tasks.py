"""The class of all tasks: measures waiting, run time and queries."""

from __future__ import annotations

import time
from typing import Any

from celery import Task

from orchestrator.observability.findings import Place, report
from orchestrator.observability.metrics import TASK_WAITS, TASKS
from orchestrator.observability.tally import tallied

SENT = "orchestrator_sent"  # header: when the task was sent, seconds since 1970
SLOW_SECONDS = 30.0
SLOW_TASK = "slow_task"


class MeasuredTask(Task):  # type: ignore[type-arg]
    """Celery's task, counted."""

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        options["headers"] = {**(options.get("headers") or {}), SENT: time.time()}
        return super().apply_async(*args, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sent = (getattr(self.request, "headers", None) or {}).get(SENT) or getattr(self.request, SENT, None)
        if sent:
            TASK_WAITS.labels(self.name).observe(max(time.time() - float(sent), 0.0))
        began, state = time.perf_counter(), "failed"
        with tallied() as tally:
            try:
                result = super().__call__(*args, **kwargs)
                state = "done"
            finally:
                TASKS.labels(self.name, state).observe(time.perf_counter() - began)
        report(Place(str(self.name)), tally, time.perf_counter() - began, SLOW_SECONDS, SLOW_TASK)
        return result
