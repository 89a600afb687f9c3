"""Celery's way in: thin, so that a test or a command calls the same functions without it."""

from __future__ import annotations

from celery import shared_task

from bots import equity, forecasting, live, retention, runs


@shared_task
def advance_runs() -> int:
    forecasting.extend(runs.due())  # first: the bots are about to ask for these predictions
    return runs.advance_due()


@shared_task
def advance_live_runs() -> int:
    forecasting.extend(live.due())
    return live.advance_due()


@shared_task
def snapshot_equity() -> int:
    return equity.snapshot()


@shared_task
def apply_retention() -> int:
    return retention.apply()
