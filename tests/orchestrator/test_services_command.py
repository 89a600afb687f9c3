from __future__ import annotations

import json
import os
import signal

import psycopg
import pytest

from orchestrator.servers import addresses
from tests.orchestrator.processes import living, manage, running, stop, until


@pytest.fixture(autouse=True)
def stopped_in_the_end(own_home):
    yield
    if living(own_home):
        manage(own_home, "services", "stop")
    until(lambda: not living(own_home), 20, lambda: living(own_home))


def status(home):
    return json.loads(manage(home, "services", "status", "--json").stdout)


def test_servers_start_in_the_background_say_where_they_are_and_stop(own_home):
    started = manage(own_home, "services", "start", "--json")
    assert (started.returncode, started.stderr) == (0, "")
    assert json.loads(started.stdout)["running"] is True
    answer = manage(own_home, "services", "status", "--json").stdout
    assert json.loads(answer)["postgres"].startswith("127.0.0.1:")
    for secret in ("postgres.password", "redis.password"):
        assert (own_home / secret).read_text() not in answer, "status shows where the servers are but no password"
    with psycopg.connect(addresses.database_url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert manage(own_home, "services", "start").returncode == 0
    stopped = manage(own_home, "services", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "No private servers are running.\n")
    assert manage(own_home, "services", "status").returncode == 1


def test_after_a_kill_nothing_is_left_and_the_next_start_works(own_home):
    with running(own_home, "services", "run") as process:
        until(addresses.are_written, 60, process.output.read_text)
        assert len(living(own_home)) > 2
        process.kill()
        process.wait()
    until(lambda: not living(own_home), 20, lambda: living(own_home))
    assert (own_home / "servers.json").exists()
    assert status(own_home)["running"] is False
    assert manage(own_home, "services", "start").returncode == 0


def test_a_server_that_dies_is_started_again(own_home):
    def servers(program):
        return {pid for pid, command in living(own_home).items() if command.split()[0].endswith(program)}

    with running(own_home, "services", "run") as process:
        until(addresses.are_written, 60, process.output.read_text)
        for program in ("/postgres", "/redis-server"):
            (before,) = servers(program)
            os.kill(before, signal.SIGKILL)
            until(lambda dead=(program, before): servers(dead[0]) - {dead[1]}, 20, process.output.read_text)
        assert stop(process, signal.SIGTERM) == 0
        assert process.output.read_text() == "No private servers are running.\n"


def test_with_both_addresses_given_there_is_nothing_to_start(own_home):
    answer = manage(own_home, "services", "start", DATABASE_URL="postgres://a@b/c", REDIS_URL="redis://b/0")
    assert (answer.returncode, answer.stderr.splitlines()[-1]) == (
        2,
        "CommandError: DATABASE_URL and REDIS_URL are set, so there is nothing to start.",
    )
