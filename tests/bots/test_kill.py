"""A worker that is killed, again and again, loses and doubles nothing."""

from __future__ import annotations

import time

import pytest

from bots import runs, services
from bots.models import Run, Trade
from tests.bots.conftest import START
from tests.bots.test_runs import exact, expected, stored, wandering
from tests.orchestrator.processes import forked


def work() -> None:
    while True:
        runs.advance_due()


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the worker made no progress"
        time.sleep(0.002)


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_of_its_work_it_goes_on_where_it_was(bot, close):
    """SIGKILL while candles come in and trades are being stored; the next worker finds a whole state."""
    run = services.start(bot, START)
    candles, kills = wandering(600), 4
    worker = forked(work)
    try:
        for index in range(0, 600, 5):
            close(candles[index : index + 5])
            if index and index % (600 // (kills + 1)) == 0:
                seen = int(candles.time[index - 1])
                wait_until(lambda seen=seen: Run.objects.get(pk=run.pk).bar_time >= seen)
                worker.kill()
                worker.join()
                worker = forked(work)
        wait_until(lambda: Run.objects.get(pk=run.pk).bar_time == candles.time[-1])
    finally:
        worker.kill()
        worker.join()
    assert Trade.objects.filter(run=run).count() > 50
    assert stored(run) == exact(expected(bot, candles))
    assert runs.advance_due() == 0
