from __future__ import annotations

import logging
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from bots.notifications import courier
from orchestrator.observability import metrics

log = logging.getLogger(__name__)


class Command(BaseCommand):
    requires_system_checks = []  # it starts often, and the worker that starts it has made them
    help = "Send what people's channels wait for, then end. Workers start it when there is something to send."

    def handle(self, **options: Any) -> None:
        metrics.forget_this_process()
        courier.confine()
        status = 1
        try:
            self.stdout.write(f"{courier.run()} messages")
            status = 0
        except Exception:
            log.exception("notifications")
        finally:
            logging.shutdown()
            sys.stdout.flush()
            # A service that answers for ever is not waited for: its thread would keep this process.
            os._exit(status)
