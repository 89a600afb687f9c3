"""The pages as a browser gets them: from the web server of `make run`, on loopback, over a database of its own.

The load comes from a process beside it on the same cores; its share of them, and Redis', is stated.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.test import Client
from redis import Redis

from bots import load
from dashboard.benchmarks import processes
from dashboard.benchmarks.load_client import Order, Result
from orchestrator.benchmarks import Row, own_database, row
from orchestrator.home import PROJECT
from orchestrator.servers import children, ports, programs

USER = "load"
CACHED = ("/", "/bots/", "/positions/", "/trades/", "/orders/", "/activity/")
MIX = (*CACHED, "/performance/", "/markets/", "/trades/?kind=grid&side=buy", "/equity.json?period=7d")
CACHED_PER_SECOND, CACHED_MS, MIX_MS = 10_000, 20, 60
START_SECONDS = 60
PERCENTILES = (50, 95, 99)


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10, help="Of each measurement; default: 10.")
    parser.add_argument("--connections", type=int, default=64, help="That ask for cached pages; default: 64.")
    parser.add_argument("--users", type=int, default=20, help="Who open an uncached page a second; default: 20.")
    add_settling(parser)


def add_settling(parser: CommandParser) -> None:
    parser.add_argument(
        "--settle",
        type=float,
        default=300,
        help="Seconds to wait at most until the server has warmed up; default: 300.",
    )


def rows(options: dict[str, Any]) -> list[Row]:
    """Cached pages a second and their times; times of uncached pages; who took how much of the cores."""
    check_seconds(options["seconds"])
    with own_database():
        load.seed(options["bots"], options["trades"], options["markets"], USER)
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
            server.settle(options["settle"])
            return [*_cached(server, options), *_uncached(server, options)]


def check_seconds(seconds: float) -> None:
    if not 0 < seconds <= 600:
        raise CommandError(f"seconds must be above 0 and at most 600, not {seconds:g}.")


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Processor seconds of the web server, its workers included."""
        return processes.cpu_of(self.process)

    def settle(self, seconds: float) -> None:
        processes.settle(self.cpu, seconds)


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """The web server as `make run` starts it, on a free port, over the database of this process."""
    port = ports.any_free()
    program = programs.web("127.0.0.1", port)
    environment = {**_environment(folder, port), **program.environment}
    if not _are_collected():
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
        subprocess.run(collect, cwd=PROJECT, env=environment, check=True)
    child = children.spawn(program.command, folder / "web.log", environment, PROJECT)
    try:
        _wait(child, port, folder / "web.log")
        yield Server(port, psutil.Process(child.pid))
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def _are_collected() -> bool:
    """Whether the web server would find every static file by its name: to compress them all takes a while."""
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    known = json.loads(manifest.read_text())["paths"] if manifest.exists() else {}
    return all(name in known for finder in get_finders() for name, _ in finder.list([]))


def _environment(folder: Path, port: int) -> dict[str, str]:
    (folder / "metrics").mkdir()
    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    own = {"DATABASE_URL": database, "REDIS_URL": settings.REDIS_URL, "PORT": str(port), "DEBUG": "false"}
    return {**os.environ, **own, "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}


def _wait(child: children.Child, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _get(port, "/health", "")
        except OSError:
            if child.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"The web server does not start: {children.last_line(log)}") from None
            time.sleep(0.05)
        else:
            return


def _get(port: int, path: str, cookie: str) -> http.client.HTTPResponse:
    request = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        request.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = request.getresponse()
        answer.read()
        return answer
    finally:
        request.close()


def cookies(port: int) -> str:
    """Of a browser that is logged in and has been sent its CSRF secret."""
    client = Client()
    client.force_login(get_user_model().objects.get(username=USER))
    session = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    answer = _get(port, "/", session)
    if answer.status != http.client.OK:
        raise CommandError(f"The overview answered {answer.status}.")
    return f"{session}; {(answer.getheader('Set-Cookie') or '').partition(';')[0]}"


def request(path: str, cookie: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nCookie: {cookie}\r\n\r\n"


def _cached(server: Server, options: dict[str, Any]) -> list[Row]:
    cookie = cookies(server.port)
    visitors = [[request(path, cookie) for path in CACHED] for _ in range(options["connections"])]
    order = Order(port=server.port, seconds=options["seconds"], every=0.0, visitors=visitors)
    job = f"cached pages at {options['connections']} connections"
    result, shares = loaded(server, order, job)
    _all_well(result, job)
    rate = sum(result.statuses.values()) / result.seconds
    return [row(f"{job}, requests/s", rate, "1/s", CACHED_PER_SECOND), *times(job, result, CACHED_MS), *shares]


def _uncached(server: Server, options: dict[str, Any]) -> list[Row]:
    visitors = []
    for turn in range(options["users"]):
        cookie = cookies(server.port)
        paths = [f"{path}{'&' if '?' in path else '?'}fresh={{fresh}}" for path in MIX]
        visitors.append([request(path, cookie) for path in paths[turn % len(paths) :] + paths[: turn % len(paths)]])
    order = Order(port=server.port, seconds=options["seconds"], every=1.0, visitors=visitors)
    job = f"uncached mix of {options['users']} users, each a page a second"
    result, shares = loaded(server, order, job)
    _all_well(result, job)
    return [*times(job, result, MIX_MS), *shares]


def loaded(server: Server, order: Order, job: str, beside: Server | None = None) -> tuple[Result, list[Row]]:
    """What came of an order, and who was busy for how much of the machine. beside: the nginx that was asked."""
    redis = Redis.from_url(settings.REDIS_URL)

    def taken() -> dict[str, float]:
        found = {"web server": server.cpu(), "Redis": _redis_cpu(redis)}
        return found if beside is None else {**found, "nginx": beside.cpu()}

    before = taken()
    command = [sys.executable, "-m", "dashboard.benchmarks.load_client"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, cwd=PROJECT, check=False)
    if done.returncode:
        raise CommandError(f"{job}: {done.stderr.strip().splitlines()[-1]}")
    result = Result(**json.loads(done.stdout))
    machine = result.seconds * (os.cpu_count() or 1) / 100
    busy = {"load generator": result.cpu} | {who: cpu - before[who] for who, cpu in taken().items()}
    redis.close()
    return result, [row(f"{job}, {who}'s share of the machine", cpu / machine, "%") for who, cpu in busy.items()]


def _all_well(result: Result, job: str) -> None:
    if set(result.statuses) != {"200"}:
        raise CommandError(f"{job}: answered {result.statuses}.")


def _redis_cpu(redis: Redis) -> float:
    found: Any = redis.info("cpu")
    return float(found["used_cpu_sys"] + found["used_cpu_user"])


def times(job: str, result: Result, most: float) -> list[Row]:
    values = np.percentile(result.ms, PERCENTILES)
    return [
        row(f"{job}, p{percent}", float(value), "ms", most if percent == 95 else None)
        for percent, value in zip(PERCENTILES, values, strict=True)
    ]
