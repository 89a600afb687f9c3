"""The event stream with many open pages: what they cost in memory, and how fast a change reaches all of them."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

import numpy as np
import psutil
import uvloop
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from dashboard.benchmarks.processes import platform
from dashboard.live_hub import MOST_CLIENTS_A_USER
from orchestrator import notify
from orchestrator.benchmarks import Row, own_database, row
from orchestrator.servers.ports import LOOPBACK

TOPIC = "market:1"
MOST_MB, MOST_MS = 400.0, 150.0
BROADCASTS = 10
OPEN_SECONDS = 240.0  # each is asked whose session it has
AT_ONCE = 200  # connections that are being made
SPARE_FILES = 200
SHARE = 95  # percent that a change must have reached in MOST_MS


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--clients", type=int, default=10_000, help="Open pages, 10 to 20,000.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Memory of the stream's process while so many listen, and the time until a change has reached 95 % of them."""
    count = options["clients"]
    if not 10 <= count <= 20_000:
        raise CommandError(f"clients must be from 10 to 20,000, not {count}.")
    _raise_file_limit(count + SPARE_FILES)
    with own_database():
        keys = _sessions(-(-count // MOST_CLIENTS_A_USER))
        with platform("web", "live") as running:
            process = psutil.Process(running.pids["live"])
            return uvloop.run(_measured(count, keys, running.port, running.live_port, process))


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise CommandError(f"{wanted:,} open files are needed, and this shell allows {hard:,}: raise `ulimit -Hn`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _sessions(count: int) -> list[str]:
    """Keys of sessions, each of a user of its own, as one may hold some pages only."""
    users = get_user_model().objects
    made = users.bulk_create(users.model(username=f"listener-{number}", password="!") for number in range(count))
    return [_session(user) for user in made]


def _session(user: Any) -> str:
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.create()
    return str(session.session_key)


class Told:
    """What all pages together have seen."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.listening = self.lost = 0


class Page(asyncio.Protocol):
    """One open page: notes when it was told of a change."""

    def __init__(self, told: Told, request: bytes) -> None:
        self._told, self._request = told, request
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        if b"data: " in data:
            self._told.heard.append(time.perf_counter())
        elif not self._greeted and b"retry: " in data:
            self._greeted = True
            self._told.listening += 1

    def connection_lost(self, reason: Exception | None) -> None:
        self._told.lost += 1


async def _measured(count: int, keys: Sequence[str], port: int, live_port: int, process: psutil.Process) -> list[Row]:
    told = Told()
    empty = process.memory_full_info().pss
    began = time.perf_counter()
    pages = await _open(count, keys, port, live_port, told)
    seconds = time.perf_counter() - began
    both = (process, psutil.Process())
    before = [_seconds(one) for one in both]
    delays = [await _broadcast(told, count) for _ in range(BROADCASTS)]
    spent, own = ((_seconds(one) - start) / BROADCASTS for one, start in zip(both, before, strict=True))
    pss = process.memory_full_info().pss
    if told.lost:
        raise CommandError(f"{told.lost:,} of {count:,} pages lost their stream.")
    for page in pages:
        page.close()
    name = f"{count:,} open pages"
    reached = {share: float(np.median([np.percentile(one, share) for one in delays])) for share in (50, SHARE, 100)}
    return [
        row(f"{name}, opened", count / seconds, "pages/s"),
        row(f"{name}, memory of the stream's process", pss / 1e6, "MB", MOST_MB),
        row(f"{name}, memory of it with none", empty / 1e6, "MB"),
        row(f"{name}, a change has reached half of them, median of {BROADCASTS}", reached[50], "ms"),
        row(f"{name}, a change has reached {SHARE} %, median of {BROADCASTS}", reached[SHARE], "ms", MOST_MS),
        row(f"{name}, a change has reached all, median of {BROADCASTS}", reached[100], "ms"),
        row(f"{name}, processor time of the stream's process for a change", 1000.0 * spent, "ms"),
        row(f"{name}, processor time of the pages for a change", 1000.0 * own, "ms"),
    ]


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _open(count: int, keys: Sequence[str], port: int, live_port: int, told: Told) -> list[asyncio.Transport]:
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> asyncio.Transport:
        async with gate:
            request = _request(keys[number % len(keys)], port, live_port)
            made, _ = await loop.create_connection(lambda: Page(told, request), LOOPBACK, live_port)
            return made

    pages = await asyncio.gather(*map(one, range(count)))
    await _until(lambda: told.listening >= count, f"{count:,} pages to listen", told, OPEN_SECONDS)
    return list(pages)


def _request(key: str, port: int, live_port: int) -> bytes:
    lines = [
        f"GET /live/?topics={TOPIC} HTTP/1.1",
        f"Host: {LOOPBACK}:{live_port}",
        f"Origin: http://{LOOPBACK}:{port}",
        f"Cookie: {settings.SESSION_COOKIE_NAME}={key}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def _broadcast(told: Told, count: int) -> list[float]:
    """Milliseconds from the commit of a change to each page; those that the stream gathers changes for included."""
    told.heard.clear()
    began = time.perf_counter()
    await asyncio.to_thread(_tell)
    await _until(lambda: len(told.heard) >= count, f"{count:,} pages to be told", told)
    return [1000.0 * (at - began) for at in told.heard]


def _tell() -> None:
    notify.changed([TOPIC])
    connection.close()  # this thread's own


async def _until(condition: Any, what: str, told: Told, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(
                f"{what} took longer than {seconds:.0f} s: {told.listening:,} listen, {told.lost:,} lost."
            )
        await asyncio.sleep(0.01)
