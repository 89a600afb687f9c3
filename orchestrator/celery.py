from __future__ import annotations

import gc
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_init, worker_process_init
from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string

from orchestrator import tracing
from orchestrator.servers.privileges import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")

app = Celery("orchestrator", task_cls="orchestrator.observability.tasks:MeasuredTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
if os.environ.get("ORCHESTRATOR_PROCESS") != "beat":  # which sends tasks by their names
    app.autodiscover_tasks()


def _share_memory(**_: Any) -> None:
    """The processes of the pool share what was loaded before they were forked.

    It is never garbage, and left out of the searches for that, which would copy every page of it.
    """
    import_string(settings.WARM_UP)()
    gc.collect()
    gc.freeze()


worker_init.connect(_share_memory, weak=False)


def _die_with_the_worker(**_: Any) -> None:
    """A pool process whose worker was killed would wait for work for ever, holding its database connection."""
    end_with_parent(os.getppid(), signal.SIGKILL)


worker_process_init.connect(_die_with_the_worker, weak=False)


def _trace(**_: Any) -> None:
    tracing.start("worker")


worker_process_init.connect(_trace, weak=False)


def _check_connections(**_: Any) -> None:
    """Keeping connections from task to task keeps dead ones too: after a restart of the database no task would run."""
    close_old_connections()


task_prerun.connect(_check_connections, weak=False)
