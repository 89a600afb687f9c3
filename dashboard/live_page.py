"""One connection to the event stream: a request is read, answered, and where it may listen, held open.

A protocol of its own instead of an ASGI server, where every page is a task or two that each change has to wake: 10,000
pages are told by 10,000 writes to their sockets and nothing else. httptools reads the request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import unquote

import orjson
from django.db import DatabaseError
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from dashboard.live_access import allowed_origin, session_key, wanted_topics
from dashboard.live_hub import Client, Full, Hub
from dashboard.live_sessions import Sessions

logger = logging.getLogger(__name__)

MOST_BYTES = 32_768  # of a request
ASKING_SECONDS = 20.0  # until it must be complete
LOOKING_SECONDS = 60.0  # for a session: after a restart all pages come at once, and their looks wait for one another
# What may wait for a slow reader: in the kernel, and here; then how long until it takes up.
SEND_BUFFER, HIGH_WATER, SLOW_SECONDS = 65_536, 16_384, 60.0
# Pages reconnect a little apart from one another after a restart.
RETRY_MS = 2_000


class Site(Protocol):
    """What a connection needs to know: who listens, whose sessions there are, whether the database is heard."""

    lines: set[asyncio.Transport]
    hub: Hub
    sessions: Sessions
    listening: bool


class Page(asyncio.Protocol):
    __slots__ = (
        "_asked",
        "_client",
        "_deadline",
        "_headers",
        "_opening",
        "_parser",
        "_site",
        "_size",
        "_transport",
        "_url",
    )

    def __init__(self, site: Site) -> None:
        self._site = site
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._url, self._headers = b"", dict[bytes, bytes]()
        self._size, self._asked = 0, False
        self._client: Client | None = None
        self._opening: asyncio.Task[None] | None = None

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class
        self._site.lines.add(self._transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self._abort_in(ASKING_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._asked or self._parser is None:
            return  # who listens has nothing to say
        self._size += len(data)
        if self._size > MOST_BYTES:
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, {"error": "The request is too long."})
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self._asked:
                self._answer(HTTPStatus.BAD_REQUEST, {"error": "This is no HTTP request."})

    def pause_writing(self) -> None:
        if self._client:
            self._client.pause()
            self._abort_in(SLOW_SECONDS)

    def resume_writing(self) -> None:
        if self._client:
            self._deadline.cancel()
            self._client.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self._site.lines.discard(self._transport)
        self._deadline.cancel()
        self._parser = None
        if self._opening:
            self._opening.cancel()
        if self._client:
            self._site.hub.leave(self._client)
            self._client = None

    # What httptools calls.
    def on_url(self, url: bytes) -> None:
        if not self._asked:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._asked:  # else one of a second request, or behind the body of the first
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._asked or self._parser is None:
            return  # a second request behind the first
        method, url = self._parser.get_method(), parse_url(self._url)  # raises HttpParserError, and is answered so
        self._deadline.cancel()
        self._asked = True
        path = unquote((url.path or b"").decode("latin-1")).rstrip("/")
        if method != b"GET":
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "Only GET is answered here."})
        elif path == "/live/health":
            status = HTTPStatus.OK if self._site.listening else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, {"listening": self._site.listening, "clients": len(self._site.hub)})
        elif path == "/live":
            self._opening = asyncio.get_running_loop().create_task(self._open_or_close(url.query or b""))
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "The event stream is at /live/."})

    async def _open_or_close(self, query: bytes) -> None:
        """Nobody is left with a connection that nothing comes over and nothing ends."""
        try:
            await self._open(query)
        except Exception:
            logger.exception("a page could not be let in")
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "Something went wrong here; try again."})

    async def _open(self, query: bytes) -> None:
        """Check who asks, then hold the connection open."""
        origin = allowed_origin(self._headers)
        if origin is None:
            self._answer(HTTPStatus.FORBIDDEN, {"error": "Only this site's own pages may listen."})
            return
        key = session_key(self._headers)
        try:
            async with asyncio.timeout(LOOKING_SECONDS):
                user_id = await self._site.sessions.user(key) if key else None
        except (DatabaseError, TimeoutError):
            logger.warning("a session could not be checked", exc_info=True)
            problem = {"error": "The database does not answer; try again."}
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, problem, origin)
            return
        if user_id is None:
            self._answer(HTTPStatus.FORBIDDEN, {"error": "Log in first."}, origin)
            return
        try:
            client = self._site.hub.join(user_id, key, wanted_topics(query), self._transport)
        except Full:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "Too many open pages."}, origin)
            return
        self._stream(client, origin)

    def _stream(self, client: Client, origin: str) -> None:
        """What was needed to ask is given back: a page is open for hours."""
        self._client, self._parser, self._opening = client, None, None
        self._url, self._headers = b"", {}
        self._transport.write(_head(HTTPStatus.OK, b"text/event-stream", origin) + b"retry: %d\n\n" % RETRY_MS)

    def _answer(self, status: HTTPStatus, content: dict[str, Any], origin: str | None = None) -> None:
        self._asked = True
        body = orjson.dumps(content)
        self._transport.write(_head(status, b"application/json", origin, len(body)) + body)
        self._transport.close()

    def _abort_in(self, seconds: float) -> None:
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._transport.abort)


def _head(status: HTTPStatus, content_type: bytes, origin: str | None, length: int | None = None) -> bytes:
    """A stream's body has no length and ends with the connection, so that all pages are sent the same bytes."""
    lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode()), b"content-type: " + content_type]
    lines += [b"cache-control: no-store", b"x-accel-buffering: no", b"connection: close", b"vary: Origin"]
    if length is not None:
        lines.append(b"content-length: %d" % length)
    if origin and origin != "same-origin":
        lines.append(b"access-control-allow-origin: " + origin.encode("latin-1"))
        lines.append(b"access-control-allow-credentials: true")
    return b"\r\n".join([*lines, b"", b""])
