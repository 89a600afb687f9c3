"""Celery's way in: thin, so that a test or a command calls the same functions without it."""

from __future__ import annotations

import logging
from functools import partial

from billiard import current_process
from celery import shared_task

from bots import backtests, cycles, equity, feed_watch, live, retention, runs, trade_days
from bots.notifications import courier
from orchestrator import broker

log = logging.getLogger(__name__)


@shared_task
def advance_runs() -> int:
    """Every other process of a worker's pool starts at the last market: see runs.advance_due."""
    backwards = getattr(current_process(), "index", 0) % 2 == 1
    return cycles.lead("paper", runs.due, partial(runs.advance_due, backwards=backwards))


@shared_task
def advance_live_runs() -> int:
    return cycles.lead("live", live.due, live.advance_due)


@shared_task
def snapshot_equity() -> int:
    added = equity.snapshot()
    equity.sum_up()
    trade_days.sum_up()
    return added


@shared_task
def apply_retention() -> int:
    return retention.apply()


@shared_task
def run_backtests() -> int:
    return backtests.run_waiting()


@shared_task
def deliver_notifications() -> int:
    return courier.send_out()


@shared_task
def watch_feeds() -> int:
    return feed_watch.watch()


def wake_for_backtests() -> None:
    """Have a worker begin now; without a broker the schedule finds what waits."""
    try:
        run_backtests.apply_async(retry=False)
    except broker.UNREACHABLE:
        log.warning("a backtest waits for the schedule: the broker cannot be reached", exc_info=True)
