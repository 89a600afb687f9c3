"""Connections to the event stream: broken requests, slow readers, and what is left when it ends."""

from __future__ import annotations

import asyncio

import pytest
from django.db import connection

from dashboard import live_page, live_sessions
from tests.dashboard.live.server import PATIENCE, until


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
