from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from dashboard.system import alerts


@shared_task
def watch_budgets() -> int:
    return len(alerts.watch(timezone.now()))
