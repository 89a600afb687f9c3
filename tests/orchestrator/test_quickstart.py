"""`make run` from its first start to its last, as one story: each start takes its time, so each is used well."""

from __future__ import annotations

import http.client
import os
import re
import signal
import time

import psycopg

from orchestrator.servers import addresses, ports
from tests.orchestrator.processes import living, manage, running, stop, until

PROGRAMS = {"web": "granian", "worker": " worker ", "beat": " beat "}


def ready(process, seconds=240):
    def said():
        assert process.poll() is None, process.output.read_text()
        return "Ready: " in process.output.read_text()

    until(said, seconds, process.output.read_text)


def status_of(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse().status
    connection.close()
    return answer


def answers(port):
    try:
        return status_of(port, "/admin/login/") == 200
    except OSError:
        return False


def pids_of(home, mark):
    return {pid for pid, command in living(home).items() if mark in command}


def all_programs_run(home):
    return all(pids_of(home, mark) for mark in PROGRAMS.values())


def test_it_starts_recovers_from_kills_and_stops_without_a_trace(own_home):
    port = ports.any_free()
    start = {"PORT": port, "LIVE_PORT": ports.any_free(), "DEMO_PASSWORD": "", "DEBUG": "0"}

    with running(own_home, "quickstart", **start) as process:
        ready(process)
        first = process.output.read_text()
        assert re.search(r"^Demo login: user demo, password \S{12}$", first, re.MULTILINE)
        assert f"Ready: http://127.0.0.1:{port}/ " in first
        assert status_of(port, "/admin/login/") == 200
        until(lambda: all_programs_run(own_home), 20, lambda: living(own_home))
        second = manage(own_home, "quickstart", PORT=ports.any_free(), LIVE_PORT=ports.any_free())
        assert second.returncode == 2
        assert f"(process {process.pid}): stop that first" in second.stderr
        refused = manage(own_home, "services", "stop")
        assert (
            refused.stderr
            == f"CommandError: The servers belong to make run, process {process.pid}: stop that with Ctrl-C.\n"
        )

        killed = pids_of(own_home, PROGRAMS["beat"])
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        until(lambda: pids_of(own_home, PROGRAMS["beat"]) - killed, 20, process.output.read_text)
        assert "beat ended (killed by SIGKILL) and is started again" in process.output.read_text()

        process.kill()
        process.wait()
    until(lambda: not living(own_home), 20, lambda: living(own_home))

    with running(own_home, "quickstart", **start) as process:
        began = time.monotonic()
        ready(process, seconds=60)
        # Three seconds on a machine that does nothing else; here others compete for its cores.
        assert time.monotonic() - began < 20
        # The page is there first; then the set-up makes sure that it was done, and tells the password again.
        until(lambda: "password" in process.output.read_text(), 20, process.output.read_text)
        assert re.findall(r"password (\S+)", process.output.read_text()) == re.findall(r"password (\S+)", first)
        assert "Setting up" not in process.output.read_text()
        with psycopg.connect(addresses.database_url()) as connection:
            assert connection.execute("SELECT count(*) FROM auth_user").fetchone() == (1,)
        until(lambda: all_programs_run(own_home), 20, lambda: living(own_home))

        # What is shared ends with the process that loaded it, and is loaded again.
        (parent,), before = pids_of(own_home, "orchestrator-preloaded"), living(own_home)
        os.kill(parent, signal.SIGKILL)
        until(
            lambda: all(pids_of(own_home, mark) - set(before) for mark in PROGRAMS.values()),
            60,
            process.output.read_text,
        )
        until(lambda: answers(port), 20, process.output.read_text)
        assert stop(process) == 0
        assert process.output.read_text().endswith("Stopped.\n")
    assert living(own_home) == {}
    assert not (own_home / "servers.json").exists()


def test_stopping_in_the_middle_of_the_set_up_leaves_nothing_behind(own_home):
    with running(own_home, "quickstart", PORT=ports.any_free(), LIVE_PORT=ports.any_free()) as process:
        until(lambda: "Setting up the database" in process.output.read_text(), 60, process.output.read_text)
        assert stop(process, signal.SIGTERM) == 0
    assert living(own_home) == {}
