"""The real processes of the platform (web, event stream, worker) over a database and a Redis of a benchmark's own."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from prometheus_client import CollectorRegistry
from redis import Redis

from orchestrator import home, warming
from orchestrator.observability import metrics
from orchestrator.servers import ports, programs
from orchestrator.servers.ports import LOOPBACK
from orchestrator.servers.supervisor import Program, Supervisor

REDIS_NUMBER = 15  # of the databases of the Redis there is
PATIENCE = 60.0
IDLE = 0.05  # of a core


@dataclass(frozen=True, slots=True)
class Platform:
    """Running processes: the ports of web and event stream, Redis, pids by name, where they count."""

    port: int
    live_port: int
    redis_url: str
    pids: Mapping[str, int]
    counts: Path

    def cpu(self) -> float:
        """Processor seconds of all of them."""
        return sum(cpu_of(psutil.Process(pid)) for pid in self.pids.values())

    def registry(self) -> CollectorRegistry:
        """What all of them have counted."""
        return metrics.registry(str(self.counts))


@contextmanager
def platform(*names: str) -> Iterator[Platform]:
    """Start web, live, worker (those that are named) over the present database, which is one of the benchmark's own."""
    port, live_port = ports.any_free(), ports.any_free()
    with _own_redis() as redis_url, TemporaryDirectory() as counts:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "HOST": LOOPBACK,
            "PORT": str(port),
            "LIVE_PORT": str(live_port),
            "PROMETHEUS_MULTIPROC_DIR": counts,
            "DEBUG": "0",
            "CSRF_TRUSTED_ORIGINS": "",
        }
        _prepare(environment)
        # Standard output is for the rows alone.
        say = partial(print, file=sys.stderr)
        with Supervisor(_programs(names, port, live_port), environment, say) as supervisor:
            supervisor.start()
            pids = {one.program.name: one.child.pid for one in supervisor.running if one.child}
            asked = {"web": (port, "/health"), "live": (live_port, "/live/health")}
            for name in asked.keys() & set(names):
                wait_for(partial(_answers, *asked[name]), name)
            yield Platform(port, live_port, redis_url, pids, Path(counts))


def cpu_of(process: psutil.Process) -> float:
    """Processor seconds of a process, its children included."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def settle(cpu: Callable[[], float], seconds: float) -> None:
    """Wait, so long at most, until processes have loaded their machine code and do nothing any more.

    cpu: the processor seconds they have taken.
    """
    began = time.monotonic()
    pause = warming.AFTER_SECONDS + 1
    while time.monotonic() - began + pause <= seconds:
        before = cpu()
        time.sleep(pause)
        if cpu() - before < IDLE * pause:
            return
        pause = 1.0


def _programs(names: Sequence[str], port: int, live_port: int) -> list[Program]:
    known = {one.name: one for one in programs.programs(LOOPBACK, port, live_port)}
    return [known[name] for name in names]


def database_url() -> str:
    """Address of the database that this process uses now."""
    at: dict[str, Any] = connection.settings_dict
    return f"postgres://{at['USER']}:{quote(at['PASSWORD'], safe='')}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


@contextmanager
def _own_redis() -> Iterator[str]:
    """The last database of the Redis there is, empty before and after. Raises CommandError where it holds something."""
    url = urlsplit(settings.REDIS_URL)._replace(path=f"/{REDIS_NUMBER}").geturl()
    with Redis.from_url(url) as redis:
        if redis.dbsize():
            raise CommandError(f"Database {REDIS_NUMBER} of Redis must be empty to measure with; it is not.")
        try:
            yield url
        finally:
            redis.flushdb()


def _prepare(environment: Mapping[str, str]) -> None:
    """Static files, schedules, kernels."""
    command = [sys.executable, "manage.py", "prepare", "--no-demo"]
    subprocess.run(command, cwd=home.PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(f"{what} did not get ready within {seconds:.0f} s: see {home.folder('logs')}.")
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    asked = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        asked.request("GET", path)
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
