"""`make run` as a person starts it, in a home of its own: how soon the first page is there, and what memory it takes.

The memory is the proportional set size (PSS): what processes share is divided among them, so that their sum is what all
of them together hold. Packages that are installed for tests and checks alone take part: a start without them is leaner.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from django.core.management.base import CommandError, CommandParser

from orchestrator.benchmarks import Row, row
from orchestrator.home import PROJECT
from orchestrator.servers import ports
from orchestrator.servers.ports import LOOPBACK

MOST_SECONDS, MOST_MB = 3.0, 600.0
FIRST_SECONDS, SETTLED_SECONDS = 600.0, 60
# What tells a process by its command, the first that is found in it.
ROLES = {
    "orchestrator-preloaded": "what is loaded for all",
    "granian": "web",
    "dashboard.live": "event stream",
    " beat": "beat",
    "celery": "worker",
    "deliver_notifications": "courier",
    "redis": "Redis",
    "postgres": "Postgres",
}
# The demo has eight bots.
MORE_BOTS = """
from bots import services
from bots.models import Bot
for bot in Bot.objects.filter(name__in=["SOL grid", "BTC wide"]):
    same = {name: getattr(bot, name) for name in ("owner", "account", "market", "kind", "timeframe", "params")}
    services.start(Bot.objects.create(name=f"{bot.name} too", allocation=5000, **same))
print(Bot.objects.filter(status=Bot.Status.RUNNING).count())
"""


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="Later starts, of which the median counts; default: 5.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Seconds from `make run` to the first page of a later start; PSS of all processes a minute after, by role."""
    if not 1 <= options["rounds"] <= 100:
        raise CommandError(f"rounds must be from 1 to 100, not {options['rounds']}.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # Postgres may be somebody else
        port = ports.any_free()
        environment = _environment(Path(folder) / "home", port)
        with _run(environment, port):
            bots = _more_bots(environment)
        taken = []
        for last in (number == options["rounds"] for number in range(1, options["rounds"] + 1)):
            with _run(environment, port) as (process, seconds):
                taken.append(seconds)
                if last:
                    return [*_seconds(taken), *_memory(process, bots)]
    raise AssertionError


def _environment(home: Path, port: int) -> dict[str, str]:
    unset = ("DATABASE_URL", "REDIS_URL", "ORCHESTRATOR_PROCESS", "PROMETHEUS_MULTIPROC_DIR", "DEBUG", "HOST")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "ORCHESTRATOR_HOME": str(home), "PORT": str(port), "LIVE_PORT": str(ports.any_free())}


@contextmanager
def _run(environment: dict[str, str], port: int) -> Iterator[tuple[psutil.Process, float]]:
    """`make run` with all its processes, and the seconds until it answered with a page; stopped by Ctrl-C."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["make", "run"], cwd=PROJECT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            while not _answers(port):
                if process.poll() is not None or time.monotonic() - began > FIRST_SECONDS:
                    output.seek(0)
                    raise CommandError(f"make run did not start: {output.read().decode()}")
                time.sleep(0.01)
            seconds = time.monotonic() - began
            _wait_for_all(process.pid)
            yield psutil.Process(process.pid), seconds
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request("GET", "/login/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_for_all(pid: int) -> None:
    """Until the last that is started, beat, runs."""
    deadline = time.monotonic() + FIRST_SECONDS
    while not any(_role(one) == "beat" for one in psutil.Process(pid).children(recursive=True)):
        if time.monotonic() > deadline:
            raise CommandError("Not all programs were started.")
        time.sleep(0.1)


def _more_bots(environment: dict[str, str]) -> int:
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", MORE_BOTS]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def _seconds(taken: Sequence[float]) -> list[Row]:
    return [
        row("later start, from `make run` to the first page, median", sorted(taken)[len(taken) // 2], "s", MOST_SECONDS)
    ]


def _memory(make: psutil.Process, bots: int) -> list[Row]:
    time.sleep(SETTLED_SECONDS)
    held: Counter[str] = Counter()
    for process in [make, *make.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that had something to do and is done
            held[_role(process)] += process.memory_full_info().pss
    name = f"memory of all processes, {bots} bots, a minute after the start (PSS)"
    parts = [row(f"memory of {role}", part / 1e6, "MB") for role, part in held.most_common()]
    return [row(name, held.total() / 1e6, "MB", MOST_MB), *parts]


def _role(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        command = " ".join(process.cmdline())
        return next((role for mark, role in ROLES.items() if mark in command), "its parent")
    return "what has ended"
