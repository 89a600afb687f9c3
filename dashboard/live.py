"""The event stream: a bare ASGI application, so that ten thousand open pages cost megabytes and not processes.

GET /live/?topics=user:1/bot:5+market:3 answers with server-sent events {"topics": [...]}, ids and never content.
GET /live/health says whether the database is being listened to. Django only tells who a session belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
from collections.abc import Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import django
import orjson
from asgiref.sync import sync_to_async
from psycopg import AsyncConnection, OperationalError, sql
from psycopg.conninfo import make_conninfo

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
django.setup()

from django.conf import settings  # noqa: E402  set up first
from django.db import DatabaseError, connections  # noqa: E402
from django.http.request import validate_host  # noqa: E402

from dashboard.live_hub import Client, Full, Hub  # noqa: E402
from dashboard.live_sessions import Sessions  # noqa: E402
from orchestrator import page_store  # noqa: E402
from orchestrator.notify import CHANNEL  # noqa: E402

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)

HEARTBEAT = 15.0
RECHECK = 120.0
# Pages reconnect a little apart from one another after a restart.
RETRY_MS = 2_000
# Seconds that changes are gathered for, where many come; the first after a quiet moment goes out with its transaction.
GATHER, GATHER_FIRST = 0.1, 0.01
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)
MOST_TOPICS = 100
LONGEST_TOPIC = 60


def allowed_origin(headers: dict[bytes, bytes]) -> str | None:
    """The Origin if it is this site's: this host on the web's port, or one that the settings trust; else None.

    A stream that a proxy serves under the site's own address is told by Sec-Fetch-Site: browsers leave Origin out.
    """
    host = urlsplit("//" + headers.get(b"host", b"").decode("latin-1")).hostname or ""
    if not validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return None
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return "same-origin" if headers.get(b"sec-fetch-site") == b"same-origin" else None
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return origin
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return origin if parts.hostname == host and port == settings.PORT else None


def session_key(headers: dict[bytes, bytes]) -> str:
    cookies = SimpleCookie()
    with contextlib.suppress(CookieError):  # a broken cookie is no session
        cookies.load(headers.get(b"cookie", b"").decode("latin-1"))
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel else ""


def wanted_topics(query: bytes) -> list[str]:
    words = " ".join(parse_qs(query.decode("latin-1")).get("topics", [])).split()
    return [word for word in words if len(word) <= LONGEST_TOPIC][:MOST_TOPICS]


def _allow_many_files() -> None:
    """Every open page is an open file, of which a shell often allows a thousand, and more to whoever asks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _database() -> str:
    database = settings.DATABASES["default"]
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    given = {ours: str(database[theirs]) for ours, theirs in names.items() if database[theirs]}
    return make_conninfo(**given)


class Live:
    """The ASGI application: its listener hears the database, its requests are the open pages."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.listening = False
        self._sessions = Sessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        _allow_many_files()
        listener = asyncio.create_task(self.listen())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await sync_to_async(connections.close_all)()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rstrip("/")
        if scope["method"] != "GET":
            await _answer(send, 405, {"error": "Only GET is answered here."})
        elif path == "/live/health":
            health = {"listening": self.listening, "clients": len(self.hub)}
            await _answer(send, 200 if self.listening else 503, health)
        elif path == "/live":
            await self._open(scope, receive, send)
        else:
            await _answer(send, 404, {"error": "The event stream is at /live/."})

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check who asks, then stream until either side has enough."""
        headers = dict(scope["headers"])
        origin = allowed_origin(headers)
        if origin is None:
            await _answer(send, 403, {"error": "Only this site's own pages may listen."})
            return
        key = session_key(headers)
        try:
            user_id = await self._sessions.user(key) if key else None
        except DatabaseError:
            logger.warning("a session could not be checked", exc_info=True)
            await _answer(send, 503, {"error": "The database does not answer; try again."}, origin)
            return
        if user_id is None:
            await _answer(send, 403, {"error": "Log in first."}, origin)
            return
        try:
            client = self.hub.join(user_id, wanted_topics(scope["query_string"]))
        except Full:
            await _answer(send, 503, {"error": "Too many open pages."}, origin)
            return
        try:
            await self._stream(client, key, origin, receive, send)
        finally:
            self.hub.leave(client)

    async def _stream(self, client: Client, key: str, origin: str, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _headers(b"text/event-stream", origin)})
        tasks = {asyncio.create_task(_closed(receive)), asyncio.create_task(self._write(client, key, send))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    async def _write(self, client: Client, key: str, send: Send) -> None:
        """Events while the session lives; a comment when there are none, so that proxies keep the line open."""
        loop = asyncio.get_running_loop()
        checked = loop.time()
        await send(_chunk(b"retry: %d\n\n" % RETRY_MS))
        while True:
            topics = await client.topics(HEARTBEAT)
            if loop.time() - checked > RECHECK:
                if await self._sessions.user(key) != client.user_id:
                    break
                checked = loop.time()
            await send(_chunk(b"data: %b\n\n" % orjson.dumps({"topics": topics}) if topics else b":\n\n"))
        await send({"type": "http.response.body", "body": b""})

    async def listen(self) -> None:
        """Hear what the database says, for ever; after a break everybody is told to look at everything once."""
        failures = 0
        while True:
            try:
                async with await AsyncConnection.connect(_database(), autocommit=True) as database:
                    await database.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    if failures:
                        await _forget_pages([page_store.EVERYBODY])
                        self.hub.publish_everything()
                    self.listening, failures = True, 0
                    await self._hear(database)
            except OperationalError as error:
                self.listening = False
                logger.warning("the database cannot be listened to, trying again: %s", error)
                await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)])
                failures += 1

    async def _hear(self, database: AsyncConnection[Any]) -> None:
        loop, told = asyncio.get_running_loop(), 0.0
        while True:
            topics = {notice.payload async for notice in database.notifies(timeout=HEARTBEAT, stop_after=1)}
            if not topics:
                await database.execute("SELECT 1")  # a line that died silently is found out here
                continue
            # Rows of one shard are told one by one: a short wait makes one message of them.
            gather = GATHER if loop.time() - told < GATHER else GATHER_FIRST
            topics |= {notice.payload async for notice in database.notifies(timeout=gather)}
            await _forget_pages(topics)
            self.hub.publish(topics)
            told = loop.time()


async def _forget_pages(topics: Iterable[str]) -> None:
    """What a page fetches once it is told of a change must not be from before it."""
    if not await asyncio.to_thread(page_store.drop, topics):
        await asyncio.sleep(page_store.LIFETIME_MS / 1000)


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _headers(content_type: bytes, origin: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    if origin and origin != "same-origin":
        allowed = origin.encode("latin-1")
        headers += [(b"access-control-allow-origin", allowed), (b"access-control-allow-credentials", b"true")]
    return [*headers, (b"vary", b"Origin")]


async def _answer(send: Send, status: int, content: dict[str, Any], origin: str | None = None) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _headers(b"application/json", origin)})
    await send({"type": "http.response.body", "body": orjson.dumps(content)})


application = Live(Hub())
