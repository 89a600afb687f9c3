from __future__ import annotations

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from orchestrator.servers.privileges import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")

app = Celery("orchestrator")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _die_with_the_worker(**_: Any) -> None:
    """A pool process whose worker was killed would wait for work for ever, holding its database connection."""
    end_with_parent(os.getppid(), signal.SIGKILL)


worker_process_init.connect(_die_with_the_worker, weak=False)
