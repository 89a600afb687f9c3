"""What asks the event stream."""

from __future__ import annotations

import http.client
import socket

import pytest

from dashboard import live
from dashboard.live_hub import Hub
from tests.dashboard.live.server import PATIENCE, served


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


@pytest.fixture
def restless(monkeypatch):
    """Signs of life and looks at sessions come at once; to be asked for before the stream."""
    monkeypatch.setattr(live, "HEARTBEAT", 0.02)
    monkeypatch.setattr(live, "RECHECK", 0.02)


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
