"""Beat's schedule in the database, made to outlive a clock that is set back.

To django_celery_beat a job whose last start lies in the future is due when the clock has caught up with it: set back by
an hour, every job would stop for an hour. It takes the time of its last full look at the table likewise.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from orchestrator.observability.tasks import SENT

log = logging.getLogger(__name__)


class Entry(ModelEntry):  # type: ignore[misc]
    """A job that was last started now at the latest."""

    last_run_at: datetime

    def is_due(self) -> Any:
        now = self._default_now()
        if self.last_run_at > now:
            log.warning(
                "%s was last started at %s, later than now: was the clock set back?", self.name, self.last_run_at
            )
            self.last_run_at = self.model.last_run_at = now
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """Looks at all jobs again, in a new order, when the clock went back behind its last look."""

    Entry = Entry

    def send_task(self, *args: Any, **options: Any) -> Any:
        """With the time of sending, as MeasuredTask has it: beat knows tasks by their names alone."""
        options["headers"] = {**(options.get("headers") or {}), SENT: time.time()}
        return super().send_task(*args, **options)

    def schedule_changed(self) -> bool:
        changed: bool = super().schedule_changed()
        return changed or datetime.now() < self._last_full_sync  # noqa: DTZ005  as that one was taken
