from __future__ import annotations

from celery import shared_task

from orchestrator.observability import samples


@shared_task
def sample_performance() -> int:
    return samples.take()


@shared_task
def apply_retention() -> int:
    return samples.apply_retention()
