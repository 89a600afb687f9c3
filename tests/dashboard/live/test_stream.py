"""The event stream in its own server, over real sockets and a real LISTEN."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, transaction
from django.test import override_settings

from dashboard import live, live_page, live_sessions
from orchestrator import notify, page_store
from orchestrator.page_store import PageStore
from tests.dashboard.live.server import PATIENCE, until


def messages(answer):
    """What the stream says, heartbeats left out."""
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def test_a_change_reaches_its_owners_page_when_it_commits(ask, owner, stranger, cookie, origin):
    answer = ask(f"/live/?topics=user:{owner.pk}+market:3", Cookie=cookie, Origin=origin)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.readline() == b"retry: 2000\n"
    notify.changed([notify.bot_topic(stranger.pk, 1), notify.bot_topic(owner.pk, 5), "market:3", "market:4"])
    assert next(messages(answer)) == {"topics": ["market:3", f"user:{owner.pk}/bot:5"]}


def test_what_a_page_fetches_when_it_is_told_of_a_change_is_not_from_before(
    ask, owner, bot, client, cookie, origin, redis, monkeypatch
):
    monkeypatch.setattr(page_store, "LIFETIME_MS", 3_600_000)
    monkeypatch.setattr(page_store, "RENEW_MS", 3_600_000)
    site, client.cookies["csrftoken"] = PageStore(WSGIHandler()), "x" * 32
    environ = {**client._base_environ(PATH_INFO=f"/bots/{bot.pk}/"), "HTTP_COOKIE": f"{cookie}; csrftoken={'x' * 32}"}

    def shown():
        answer = site(dict(environ), lambda *_: None)
        return b"Renamed" in b"".join(answer), isinstance(answer, list)

    assert [shown(), shown()] == [(False, False), (False, True)]
    answer = ask(f"/live/?topics=user:{owner.pk}/bot:{bot.pk}", Cookie=cookie, Origin=origin)
    answer.readline()
    type(bot).objects.update(name="Renamed")
    assert shown() == (False, True)
    notify.changed([notify.bot_topic(owner.pk, bot.pk)])
    assert next(messages(answer)) == {"topics": [f"user:{owner.pk}/bot:{bot.pk}"]}
    assert [shown(), shown()] == [(True, False), (True, True)]


def test_while_redis_is_away_pages_are_told_once_all_from_before_has_expired(monkeypatch):
    slept = []
    monkeypatch.setattr(page_store, "LIFETIME_MS", 30)

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(live.asyncio, "sleep", sleep)
    # In a thread of its own, as the browser of other tests has its loop in this one.
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"), ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, live._forget_pages(["market:3"])).result(PATIENCE)
    assert slept == [0.03]


def test_it_listens_again_when_the_database_went_away(ask, owner, cookie, origin):
    answer = ask("/live/?topics=market:3", Cookie=cookie, Origin=origin)
    answer.readline()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert next(messages(answer)) == {"topics": ["market:3"]}  # told to look, as something may have been missed
    notify.changed(["market:3"])
    assert next(messages(answer)) == {"topics": ["market:3"]}


@pytest.mark.parametrize(
    "foreign", ["http://evil.example", "http://127.0.0.1:1", "null", "http://127.0.0.1.evil.example:8000", "http://["]
)
def test_another_sites_page_may_not_listen(ask, cookie, foreign):
    answer = ask(Cookie=cookie, Origin=foreign)
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_without_origin_may_listen_only_behind_the_same_address(ask, cookie):
    assert ask(Cookie=cookie).status == 403
    assert ask(Cookie=cookie, Sec_Fetch_Site="same-origin").status == 200


def test_a_host_that_is_not_ours_is_refused(ask, cookie, settings):
    origin = f"http://evil.example:{settings.PORT}"
    assert ask(Cookie=cookie, Origin=origin, Host="evil.example").status == 403


def test_an_origin_that_the_settings_trust_may_listen(ask, cookie, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://bots.example.org"]
    assert ask(Cookie=cookie, Origin="https://bots.example.org").status == 200


@pytest.mark.parametrize(
    "session", ["", "sessionid=forged", 'sessionid="broken', 'sessionid="no\\000key-of-ours"', "; ;=;"]
)
def test_a_visitor_without_a_session_may_not_listen(ask, origin, session):
    assert ask(Cookie=session, Origin=origin).status == 403


def test_one_who_may_no_longer_log_in_may_not_listen(ask, owner, cookie, origin):
    owner.is_active = False
    owner.save()
    assert ask(Cookie=cookie, Origin=origin).status == 403


def test_logging_out_ends_the_stream(restless, stream, ask, client, cookie, origin):
    answer = ask("/live/?topics=market", Cookie=cookie, Origin=origin)
    client.logout()
    assert answer.read().startswith(b"retry: ")
    until(lambda: len(stream.hub) == 0)


def test_a_page_that_closes_is_forgotten(stream, ask, cookie, origin):
    answer = ask(Cookie=cookie, Origin=origin)
    until(lambda: len(stream.hub) == 1)
    answer.close()
    answer.connection.close()
    until(lambda: len(stream.hub) == 0)
    assert json.load(ask("/live/health"))["clients"] == 0


def test_pages_that_come_at_once_share_the_look_at_their_session(monkeypatch):
    looks, begun, go_on = [], threading.Event(), threading.Event()

    def look(key):
        looks.append(key)
        begun.set()
        go_on.wait(PATIENCE)
        return len(looks)

    monkeypatch.setattr(live_sessions, "session_user", look)

    async def come():
        sessions = live_sessions.Sessions()
        closed, *pages = [asyncio.create_task(sessions.user("one")) for _ in range(5)]
        await asyncio.to_thread(begun.wait, PATIENCE)
        closed.cancel()
        go_on.set()
        return await asyncio.gather(*pages), await sessions.user("one"), await sessions.user("two")

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, come()).result(PATIENCE) == ([1, 1, 1, 1], 2, 3)
    assert looks == ["one", "one", "two"]


def test_too_many_pages_of_one_user_are_refused(stream, ask, cookie, origin, monkeypatch):
    monkeypatch.setattr(stream.hub, "_most_a_user", 1)
    first = ask(Cookie=cookie, Origin=origin)
    assert (first.status, ask(Cookie=cookie, Origin=origin).status) == (200, 503)


def test_health_says_whether_it_listens(ask):
    answer = ask("/live/health")
    assert (answer.status, json.load(answer)) == (200, {"listening": True, "clients": 0})


def test_nothing_else_is_served(ask):
    assert ask("/").status == 404


def test_a_database_that_hangs_keeps_nobody_waiting(ask, owner, cookie, origin, monkeypatch):
    monkeypatch.setattr(live_page, "LOOKING_SECONDS", 0.05)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {owner._meta.db_table}")
        answer = ask(Cookie=cookie, Origin=origin)
    assert (answer.status, json.load(answer)) == (503, {"error": "The database does not answer; try again."})


def test_while_the_database_is_away_streams_live_on(restless, stream, ask, cookie, origin, monkeypatch, caplog):
    def fail(key):
        raise OperationalError("away")

    answer = ask("/live/?topics=market", Cookie=cookie, Origin=origin)
    monkeypatch.setattr(live_sessions, "session_user", fail)
    until(lambda: "a session could not be checked" in caplog.text)
    assert [answer.readline() for _ in range(4)] == [b"retry: 2000\n", b"\n", b":\n", b"\n"]
    assert len(stream.hub) == 1


def test_it_may_open_as_many_files_as_macos_allows_where_there_is_no_limit(monkeypatch):
    asked = []

    def darwin(what, limits):
        asked.append(limits)
        if limits[0] > live.DARWIN_FILES:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(live.resource, "getrlimit", lambda what: (256, 2**63 - 1))
    monkeypatch.setattr(live.resource, "setrlimit", darwin)
    live._allow_many_files()
    assert asked[-1] == (live.DARWIN_FILES, 2**63 - 1)
