"""The event stream: one bare server, so that ten thousand open pages cost megabytes and not processes.

GET /live/?topics=user:1/bot:5+market:3 answers with server-sent events {"topics": [...]}, ids and never content.
GET /live/health says whether the database is being listened to. Django only tells who a session belongs to.
Run as `python -m dashboard.live --host HOST --port PORT`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import django
import uvloop
from asgiref.sync import sync_to_async
from psycopg import AsyncConnection, OperationalError, sql
from psycopg.conninfo import make_conninfo

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
django.setup()

from django.conf import settings  # noqa: E402  set up first
from django.db import DatabaseError, connections  # noqa: E402

from dashboard.live_hub import Client, Hub  # noqa: E402
from dashboard.live_page import Page  # noqa: E402
from dashboard.live_sessions import Sessions  # noqa: E402
from orchestrator import page_store  # noqa: E402
from orchestrator.notify import CHANNEL  # noqa: E402

logger = logging.getLogger(__name__)

# Seconds between two signs of life to every page, and between two looks at whether its session lives.
HEARTBEAT = 15.0
RECHECK = 120.0
# Seconds that are left to looks under way when the server is stopped.
LAST_LOOKS = 1.0
# Seconds that changes are gathered for, where many come; the first after a quiet moment goes out with its transaction.
GATHER, GATHER_FIRST = 0.1, 0.01
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)
DARWIN_FILES = 10_240  # OPEN_MAX of setrlimit(2) there
BACKLOG = 4096  # connections that may wait to be taken: after a restart all pages come at once


def _allow_many_files() -> None:
    """Every open page is an open file, of which a shell often allows a thousand, and more to whoever asks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except ValueError:  # macOS allows no more than this where it names no limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (DARWIN_FILES, most))


def _database() -> str:
    database = settings.DATABASES["default"]
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    given = {ours: str(database[theirs]) for ours, theirs in names.items() if database[theirs]}
    return make_conninfo(**given)


class Live:
    """The server: its connections are the open pages, and what it hears from the database it tells them."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.sessions = Sessions()
        self.listening = False
        self.port = 0
        self.lines: set[asyncio.Transport] = set()  # all that are connected: some have not asked yet

    async def serve(self, host: str, port: int, stopped: asyncio.Event) -> None:
        """Until stopped. Raises OSError where the port cannot be had, and what ends one of its tasks."""
        _allow_many_files()
        server = await asyncio.get_running_loop().create_server(lambda: Page(self), host, port, backlog=BACKLOG)
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in (self.listen(), self.keep_open(), self.recheck())]
                await stopped.wait()
                for task in tasks:
                    task.cancel()
        finally:
            server.close()
            await self._let_go()
            await sync_to_async(connections.close_all)()

    async def _let_go(self) -> None:
        """End all connections, also those that are just being taken, and what was asked for them."""
        await asyncio.sleep(0)
        for line in self.lines:
            line.abort()
        while self.lines:
            await asyncio.sleep(0)
        await self.sessions.finish(LAST_LOOKS)

    async def keep_open(self) -> None:
        """A sign of life to every page, one after the other, so that they never come in a crowd."""
        while True:
            clients = list(self.hub)
            for client in clients:
                client.beat()
                await asyncio.sleep(HEARTBEAT / len(clients))
            if not clients:
                await asyncio.sleep(HEARTBEAT)

    async def recheck(self) -> None:
        """End the streams of sessions that have ended, or whose user's password was changed; one look a session."""
        while True:
            pages: dict[str, list[Client]] = defaultdict(list)
            for client in self.hub:
                pages[client.session].append(client)
            for key, clients in pages.items():
                await asyncio.sleep(RECHECK / len(pages))
                await self._end_unless_alive(key, clients)
            if not pages:
                await asyncio.sleep(RECHECK)

    async def _end_unless_alive(self, key: str, clients: Iterable[Client]) -> None:
        try:
            user_id = await self.sessions.user(key)
        except DatabaseError:
            logger.warning("a session could not be checked", exc_info=True)
            return
        for client in clients:
            if client.user_id != user_id:
                client.line.close()

    async def listen(self) -> None:
        """Hear what the database says, for ever; after a break everybody is told to look at everything once."""
        failures = 0
        while True:
            try:
                async with await AsyncConnection.connect(_database(), autocommit=True) as database:
                    await database.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    if failures:
                        await _forget_pages([page_store.EVERYBODY])
                        await self.hub.publish_everything()
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
            await self.hub.publish(topics)
            told = loop.time()


async def _forget_pages(topics: Iterable[str]) -> None:
    """What a page fetches once it is told of a change must not be from before it."""
    if not await asyncio.to_thread(page_store.drop, topics):
        await asyncio.sleep(page_store.LIFETIME_MS / 1000)


async def _run(host: str, port: int) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await Live(Hub()).serve(host, port, stopped)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="dashboard.live", description="The event stream.")
    parser.add_argument("--host", default=settings.HOST)
    parser.add_argument("--port", type=int, default=settings.LIVE_PORT)
    options = parser.parse_args(arguments)
    uvloop.run(_run(options.host, options.port))


if __name__ == "__main__":
    main()
