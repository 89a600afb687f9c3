"""The event stream in its own server, over real sockets and a real LISTEN."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
import uvloop
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, transaction
from django.test import override_settings

from dashboard import live, live_page, live_sessions
from dashboard.live_hub import Hub
from orchestrator import notify, page_store
from orchestrator.page_store import PageStore

PATIENCE = 10.0


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


@contextmanager
def served(application):
    """A real server on a free port, in a thread with a loop of its own."""

    async def serve():
        application.loop, application.stopped = asyncio.get_running_loop(), asyncio.Event()
        await application.serve("127.0.0.1", 0, application.stopped)

    thread = threading.Thread(target=uvloop.run, args=[serve()])
    thread.start()
    until(lambda: application.listening)
    try:
        yield application
    finally:
        with suppress(RuntimeError):  # the test has stopped it, and the loop is closed
            application.loop.call_soon_threadsafe(application.stopped.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def stream(transactional_db, settings):
    """The hub's server; .listening tells that it hears the database."""
    with served(live.Live(Hub())) as application:
        yield application


@pytest.fixture
def ask(stream):
    """GET from the event stream; every connection is closed after the test."""
    connections = []

    def get(path="/live/", **headers):
        request = http.client.HTTPConnection("127.0.0.1", stream.port, timeout=PATIENCE)
        request.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = request.getresponse()
        answer.connection = request
        connections.extend([answer, request])
        return answer

    yield get
    for one in connections:
        one.close()


@pytest.fixture
def cookie(client, owner, settings):
    client.force_login(owner)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@pytest.fixture
def origin(settings):
    return f"http://127.0.0.1:{settings.PORT}"


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


@pytest.fixture
def restless(monkeypatch):
    """Signs of life and looks at sessions come at once; to be asked for before the stream."""
    monkeypatch.setattr(live, "HEARTBEAT", 0.02)
    monkeypatch.setattr(live, "RECHECK", 0.02)


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


@pytest.fixture
def call(stream):
    """A bare connection to the event stream that sends these bytes; gives the socket."""
    sockets = []

    def made(data, receive_buffer=None):
        one = socket.socket()
        sockets.append(one)
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(PATIENCE)
        one.connect(("127.0.0.1", stream.port))
        one.sendall(data)
        return one

    yield made
    for one in sockets:
        one.close()


def all_of(one):
    parts = []
    while part := one.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /live/ HTTP/1.1\r\nX: " + b"x" * live_page.MOST_BYTES, b"431"),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", b"400"),
        (b"GET /live/ HTTP/1.1\r\nBroken\r\n\r\n", b"400"),
        (b"POST /live/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"405"),
        (b"GET /live/health HTTP/1.1\r\n\r\nGET /live/ HTTP/1.1\r\n\r\n", b"200"),
    ],
    ids=["too long", "TLS", "no header", "POST", "two at once"],
)
def test_a_request_that_is_none_is_refused_and_the_connection_closed(call, request_, status):
    answer = all_of(call(request_))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /live/ HTTP/1.1\r\nHost: [\r\n\r\n", b"403"),
        (b"GET /live/ HTTP/1.1\r\nHost: [::1\r\nOrigin: http://[::1:8000\r\n\r\n", b"403"),
        (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"4"),
        (b"GET // HTTP/1.1\r\nHost: localhost\r\n\r\n", b"4"),
        (b"GET http://: HTTP/1.1\r\n\r\n", b"4"),
        (b"GET http://a:99999/ HTTP/1.1\r\n\r\n", b"4"),
    ],
)
def test_no_address_or_host_leaves_a_connection_open_that_nothing_ends(call, request_, status, caplog):
    assert all_of(call(request_)).startswith(b"HTTP/1.1 " + status)
    assert not caplog.records


def test_a_fault_of_ours_closes_the_connection_and_is_logged(ask, cookie, origin, monkeypatch, caplog):
    def fail(key):
        raise ValueError("unforeseen")

    monkeypatch.setattr(live_sessions, "session_user", fail)
    assert ask(Cookie=cookie, Origin=origin).status == 500
    assert "unforeseen" in caplog.text


def test_a_database_that_hangs_keeps_nobody_waiting(ask, owner, cookie, origin, monkeypatch):
    monkeypatch.setattr(live_page, "LOOKING_SECONDS", 0.05)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {owner._meta.db_table}")
        answer = ask(Cookie=cookie, Origin=origin)
    assert (answer.status, json.load(answer)) == (503, {"error": "The database does not answer; try again."})


def test_what_follows_a_request_changes_nothing_about_it(call, cookie):
    """No second request lends the first its cookie."""
    first = b"GET /live/ HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\r\n"
    answer = all_of(call(first + b"GET /live/ HTTP/1.1\r\nCookie: " + cookie.encode() + b"\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 403")


def test_a_request_may_come_in_pieces_but_not_for_ever(monkeypatch, call):
    whole = call(b"GET /live/hea")
    whole.sendall(b"lth HTTP/1.1\r\n\r\n")
    assert all_of(whole).startswith(b"HTTP/1.1 200 OK")
    monkeypatch.setattr(live_page, "ASKING_SECONDS", 0.05)
    half = call(b"GET /live/health HTTP/1.1\r\n")
    assert half.recv(1) == b""


@pytest.fixture
def sleeper(stream, call, cookie, origin):
    """A page that listens to the markets and reads nothing, until what waits for it is in our memory."""
    head = f"GET /live/?topics=market HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\r\n"
    one = call(head.encode(), receive_buffer=4096)
    until(lambda: len(stream.hub) == 1)
    (client,) = stream.hub
    topics = [f"market:{number:050}" for number in range(49)]
    while client._missed is None:
        asyncio.run_coroutine_threadsafe(stream.hub.publish(topics), stream.loop).result(PATIENCE)
    return one


def test_a_page_that_does_not_read_is_sent_no_more_until_it_does(stream, sleeper):
    for _ in range(100):
        asyncio.run_coroutine_threadsafe(stream.hub.publish(["market:1", "market:2"]), stream.loop).result(PATIENCE)
    said = b""
    while not said.endswith(b'data: {"topics":["market:1","market:2"]}\n\n'):
        said += sleeper.recv(65_536)
    assert said.count(b'"market:1"') == 1
    assert len(said) < 10 * live_page.SEND_BUFFER


def test_a_page_that_never_reads_again_is_dropped(monkeypatch, stream, request):
    monkeypatch.setattr(live_page, "SLOW_SECONDS", 0.05)
    request.getfixturevalue("sleeper")
    until(lambda: len(stream.hub) == 0)
    assert len(stream.hub) == 0


def test_streams_end_with_the_server(ask, cookie, origin, stream):
    answer = ask("/live/?topics=market", Cookie=cookie, Origin=origin)
    stream.loop.call_soon_threadsafe(stream.stopped.set)
    assert answer.read() == b"retry: 2000\n\n"


def test_a_browser_that_connected_and_has_not_asked_yet_is_let_go_with_the_server(call, stream):
    early = call(b"")
    until(lambda: stream.lines)
    stream.loop.call_soon_threadsafe(stream.stopped.set)
    assert early.recv(1) == b""


def sessions_of_the_database():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def test_a_server_that_ends_while_pages_come_leaves_no_session_of_the_database(call, stream, origin, settings):
    for number in range(50):
        cookie = f"{settings.SESSION_COOKIE_NAME}={number:032}"
        call(f"GET /live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\r\n".encode())
    stream.loop.call_soon_threadsafe(stream.stopped.set)
    until(lambda: not sessions_of_the_database())
    assert not stream.lines


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
