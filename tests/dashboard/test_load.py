"""The benchmarks that load this machine: their bounds, their users, what they make of what these met."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import uvloop
from django.core.management import CommandError, call_command

from bots import runs
from bots.benchmarks import fleet
from bots.models import Run
from dashboard.benchmarks import live, load
from orchestrator.home import PROJECT
from tests.dashboard.live.conftest import stream  # noqa: F401  the event stream in its own server

USERS = PROJECT / "dashboard/load/users.py"


def locust(*arguments):
    command = [sys.executable, "-m", "locust", "-f", str(USERS), "--headless", "-t", "1s", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_users_stay_on_this_machine_and_are_not_too_many():
    away = locust("--host", "http://example.org", "-u", "1")
    assert away.returncode == 1
    sentence = "--host must be an address of this machine, such as http://127.0.0.1:8000, not 'http://example.org'."
    assert sentence in away.stderr
    many = locust("--host", "http://127.0.0.1:9", "-u", "501")
    assert "--users must be at most 500, not 501." in many.stderr


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("load", "--users", "201"), "users must be from 1 to 200, not 201."),
        (("load", "--seconds", "4"), "seconds must be from 5 to 120, not 4."),
        (("start", "--rounds", "0"), "rounds must be from 1 to 100, not 0."),
        (("live", "--clients", "20001"), "clients must be from 10 to 20,000, not 20001."),
    ],
)
def test_a_load_out_of_bounds_is_refused(option, sentence):
    with pytest.raises(CommandError, match=f"^{sentence}$"):
        call_command("benchmark", *option)


def test_percentiles_count_pages_alone():
    def one(name, times, failures=0):
        return {
            "name": name, "response_times": times, "num_failures": failures, "start_time": 10.0,
            "last_request_timestamp": 20.0,
        }  # fmt: skip

    found = load._found([one("/", {"5": 94, "40.0": 5, "900": 1}, 2), one("POST /login/", {"2000": 9}, 1)], 0.25)
    assert found == (Counter({5: 94, 40: 5, 900: 1}), 2, 10.0, 0.25)
    rows = {row["job"].removeprefix("users, "): row for row in load._pages(found, "users", 60.0)}
    assert [rows[name]["value"] for name in ("answers", "p50", "p95", "p99")] == [10.0, 5.0, 40.0, 40.0]
    assert (rows["p95"]["baseline"], rows["p95"]["ratio"]) == (60.0, 40 / 60)
    assert rows["wrong or no answers"]["value"] == 2
    with pytest.raises(CommandError, match="No page was answered"):
        load._found([], 0.25)


def test_a_fleet_sees_every_candle_that_closes(db):
    bots = fleet.make(12, 4, candles=3)
    bots.run(6)
    for _ in range(3):
        bots.close()
        assert bots.behind() == 6
        assert runs.advance_due() == 6
        assert bots.behind() == 0
    assert Run.objects.filter(status="paused").count() == 6


def test_open_pages_are_told_of_a_change(stream, settings, monkeypatch):  # noqa: F811
    monkeypatch.setattr(live, "BROADCASTS", 2)
    keys = live._sessions(2)
    # In a thread of its own, as the browser of other tests has its loop in this one.
    with ThreadPoolExecutor(1) as pool:
        measured = live._measured(30, keys, settings.PORT, stream.port, psutil.Process())
        found = pool.submit(uvloop.run, measured).result()
    rows = {row["job"].removeprefix("30 open pages, "): row for row in found}
    delay = rows["a change has reached 95 %, median of 2"]
    assert (delay["unit"], delay["baseline"]) == ("ms", 150.0)
    assert 0 < rows["a change has reached half of them, median of 2"]["value"] <= delay["value"]
    assert rows["memory of the stream's process"]["value"] > 10
