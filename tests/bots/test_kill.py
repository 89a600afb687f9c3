"""A worker that is killed, again and again, loses and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import connection

from bots import runs, services
from bots.models import Run, Trade
from orchestrator.home import PROJECT
from tests.bots.conftest import START
from tests.bots.test_runs import exact, expected, stored, wandering

WORKER = """
import django
django.setup()
from bots import runs
while True:
    runs.advance_due()
"""


def start_worker() -> subprocess.Popen:
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=PROJECT, env={**os.environ, "DATABASE_URL": url})


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
    worker = start_worker()
    try:
        for index in range(0, 600, 5):
            close(candles[index : index + 5])
            if index and index % (600 // (kills + 1)) == 0:
                seen = int(candles.time[index - 1])
                wait_until(lambda seen=seen: Run.objects.get(pk=run.pk).bar_time >= seen)
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                worker = start_worker()
        wait_until(lambda: Run.objects.get(pk=run.pk).bar_time == candles.time[-1])
    finally:
        worker.kill()
        worker.wait()
    assert Trade.objects.filter(run=run).count() > 50
    assert stored(run) == exact(expected(bot, candles))
    assert runs.advance_due() == 0
