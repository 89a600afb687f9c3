from __future__ import annotations

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_process_init
from django.db import close_old_connections

from orchestrator import tracing, warming
from orchestrator.servers.privileges import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")

app = Celery("orchestrator", task_cls="orchestrator.observability.tasks:MeasuredTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _die_with_the_worker(**_: Any) -> None:
    """A pool process whose worker was killed would wait for work for ever, holding its database connection."""
    end_with_parent(os.getppid(), signal.SIGKILL)


worker_process_init.connect(_die_with_the_worker, weak=False)


def _warm_up(**_: Any) -> None:
    """Else the first candle would wait for machine code."""
    warming.begin()


worker_process_init.connect(_warm_up, weak=False)


def _trace(**_: Any) -> None:
    tracing.start("worker")


worker_process_init.connect(_trace, weak=False)


def _check_connections(**_: Any) -> None:
    """Keeping connections from task to task keeps dead ones too: after a restart of the database no task would run."""
    close_old_connections()


task_prerun.connect(_check_connections, weak=False)
