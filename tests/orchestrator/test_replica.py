"""A real standby of the tests' own server; replay is paused and resumed, so what it lacks is no question of time."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import connection, connections
from django.http import HttpResponse
from django.test import RequestFactory

from orchestrator import home, replica
from orchestrator.servers import addresses, binaries, privileges
from orchestrator.servers.ports import remembered
from orchestrator.servers.postgres import Postgres
from tests.orchestrator.processes import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])
PLACE = "SELECT pg_current_wal_insert_lsn()::text"


@pytest.fixture(scope="module")
def standby():
    """A copy of the tests' server that follows it."""
    program = binaries.postgres().folder / "pg_basebackup"
    if not program.exists():
        pytest.skip("this PostgreSQL has no pg_basebackup")
    # Not pytest's own folders: root's are closed to the user that the server runs as.
    root = Path(tempfile.mkdtemp(prefix="orchestrator-standby-"))
    root.chmod(0o711)
    url = addresses.database_url()
    parts = urlsplit(url)
    data = root / "postgres"
    data.mkdir(mode=0o700)
    user = privileges.unprivileged_user(home.folder() / "postgres")
    if user:
        os.chown(data, user.uid, user.gid)
    subprocess.run(
        [program, "-D", data, "-R", "--checkpoint=fast", "-d", url.rpartition("/")[0] + "/postgres"],
        check=True, user=user.uid if user else None, group=user.gid if user else None, cwd="/", capture_output=True,
    )  # fmt: skip
    server = Postgres(data, root / "log", remembered(root / "ports.json", "standby"), parts.password, durable=False)
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, root)
        cleanup.callback(server.stop)
        server.launch()
        server.wait_ready()
        yield server


@pytest.fixture(scope="module", autouse=True)
def alias(standby):
    """The standby as Django's database "replica"; a mirror, so that nothing tries to empty it after a test."""
    mirror = {**connection.settings_dict["TEST"], "MIRROR": "default"}
    connections.databases["replica"] = {**connection.settings_dict, "PORT": str(standby.port), "TEST": mirror}
    yield
    connections["replica"].close()
    del connections["replica"], connections.databases["replica"]


@pytest.fixture
def following(alias, transactional_db):
    """It holds all that was written so far."""
    connections["replica"].settings_dict["NAME"] = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(PLACE)
        (place,) = cursor.fetchone()
    until(lambda: asked("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place), 20, "the standby follows")
    yield
    asked("SELECT pg_wal_replay_resume()")


def asked(query, *parameters):
    with connections["replica"].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()[0]


def request(method, user, view=lambda request: HttpResponse()):
    """The alias that a request of this user reads from."""
    found = []

    def answer(request):
        found.append(replica.Router().db_for_read(get_user_model()))
        return view(request)

    made = RequestFactory().generic(method, "/")
    made.user = user
    replica.reads_from_replica(answer)(made)
    return found[0]


def test_a_user_reads_from_the_replica_and_a_visitor_does_not(following, redis, owner):
    until(lambda: request("GET", owner) == "replica", 20, "the standby follows")
    assert request("GET", AnonymousUser()) == "default"


def test_what_changes_something_reads_from_the_primary(following, redis, owner):
    assert request("POST", owner) == "default"


def test_who_has_written_reads_from_the_primary_until_the_replica_has_it(following, redis, owner, django_user_model):
    other = django_user_model.objects.create_user("other", password="secret")
    for user in (owner, other):
        until(lambda user=user: request("GET", user) == "replica", 20, "the standby follows")
    asked("SELECT pg_wal_replay_pause()")
    until(lambda: asked("SELECT pg_get_wal_replay_pause_state()") == "paused", 20, "replay pauses")

    def rename(request):
        django_user_model.objects.filter(pk=owner.pk).update(first_name="Ann")
        return HttpResponse()

    request("POST", owner, rename)
    assert request("GET", owner) == "default"
    assert request("GET", other) == "replica"
    asked("SELECT pg_wal_replay_resume()")
    until(lambda: request("GET", owner) == "replica", 20, "the standby follows")
    assert django_user_model.objects.using("replica").get(pk=owner.pk).first_name == "Ann"


@pytest.fixture
def late(following, redis, owner):
    """The replica follows no more; what was written so far it has, and the owner reads from it."""
    until(lambda: request("GET", owner) == "replica", 20, "the standby follows")
    asked("SELECT pg_wal_replay_pause()")
    until(lambda: asked("SELECT pg_get_wal_replay_pause_state()") == "paused", 20, "replay pauses")


def test_what_is_read_while_a_write_is_under_way_comes_from_the_primary(late, owner, django_user_model):
    """The event stream has pages fetched as soon as it is committed, and its request goes on."""
    found = []

    def rename(request_):
        django_user_model.objects.filter(pk=owner.pk).update(first_name="Ann")
        found.append(request("GET", owner))
        return HttpResponse()

    request("POST", owner, rename)
    assert [*found, request("GET", owner)] == ["default", "default"]


def test_what_a_token_writes_is_its_owner_s(late, owner, django_user_model):
    found = []

    def rename(request_):
        request_.user = owner  # as dashboard.api.authentication does
        replica.begins(request_)
        django_user_model.objects.filter(pk=owner.pk).update(first_name="Ann")
        found.append(request("GET", owner))
        return HttpResponse()

    request("POST", AnonymousUser(), rename)
    assert [*found, request("GET", owner)] == ["default", "default"]


def test_a_primary_that_breaks_off_after_a_write_turns_no_answer_into_an_error(late, owner, django_user_model):
    def rename(request_):
        django_user_model.objects.filter(pk=owner.pk).update(first_name="Ann")
        connection.connection.close()
        return HttpResponse()

    try:
        assert request("POST", owner, rename) == "default"
    finally:
        connection.close()
    assert request("GET", owner) == "default"
    owner.refresh_from_db()
    assert owner.first_name == "Ann"


def test_the_later_of_two_places_is_kept_whoever_tells_it_last(late, redis, owner):
    replica._redis().set(replica._place(owner.pk), 2**52)
    request("POST", owner)
    assert int(replica._redis().get(replica._place(owner.pk))) == 2**52
    assert request("GET", owner) == "default"


def test_without_redis_or_replica_all_read_from_the_primary(following, redis, owner, monkeypatch):
    until(lambda: request("GET", owner) == "replica", 20, "the standby follows")
    replica._redis.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
        assert request("GET", owner) == "default"
        assert request("POST", owner) == "default"
    replica._redis.cache_clear()
    connections["replica"].close()
    with monkeypatch.context() as patch:
        patch.setitem(connections["replica"].settings_dict, "PORT", "1")
        assert request("GET", owner) == "default"


def test_reading_ends_with_the_request(following, redis, owner):
    until(lambda: request("GET", owner) == "replica", 20, "the standby follows")
    assert replica.Router().db_for_read(get_user_model()) == "default"
    assert replica.Router().db_for_write(get_user_model()) == "default"
    assert not replica.Router().allow_migrate("replica", "bots")
