"""What every command says when it cannot work: one sentence on standard error, exit status 2."""

from __future__ import annotations

import socket

import pytest

from orchestrator.servers.addresses import NO_SERVERS
from tests.orchestrator.processes import living, manage


def test_without_any_database_one_sentence_says_so(own_home):
    answer = manage(own_home, "sync_schedules")
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", f"{NO_SERVERS}\n")


def test_a_note_of_killed_servers_is_no_database(own_home):
    own_home.mkdir()
    (own_home / "servers.json").write_text('{"database_url": "postgres://a@127.0.0.1:1/a"}')
    assert manage(own_home, "sync_schedules").stderr == f"{NO_SERVERS}\n"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DATABASE_URL": "mysql://a@b/c"}, "DATABASE_URL must start with postgres://, not 'mysql'."),
        ({"PORT": "http"}, "PORT must be a whole number from 1 to 65535, not 'http'."),
    ],
)
def test_a_bad_variable_is_one_sentence(own_home, variables, sentence):
    answer = manage(own_home, "sync_schedules", **variables)
    assert (answer.returncode, answer.stderr) == (2, f"{sentence}\n")


def test_a_database_that_does_not_answer_is_named(own_home):
    answer = manage(own_home, "sync_schedules", DATABASE_URL="postgres://a@127.0.0.1:1/a")
    assert answer.returncode == 2
    assert answer.stderr.startswith("Postgres at 127.0.0.1:1 (DATABASE_URL) cannot be used: ")
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["PORT", "LIVE_PORT"])
def test_a_busy_port_stops_the_start_before_anything_runs(own_home, name):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = manage(own_home, "quickstart", **{"PORT": 8999, "LIVE_PORT": 8998, name: port})
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"Port {port} on 127.0.0.1 is taken: ")
    assert len(answer.stderr.splitlines()) == 1
    assert not (own_home / "postgres").exists()
    assert living(own_home) == {}


def test_a_host_of_another_machine_is_one_sentence(own_home):
    answer = manage(own_home, "quickstart", HOST="192.0.2.1")
    assert answer.returncode == 2
    assert answer.stderr.startswith("HOST '192.0.2.1' cannot be used: ")
