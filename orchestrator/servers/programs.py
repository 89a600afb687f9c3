"""The processes of the platform as they run on one machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.servers.forks import Plan
from orchestrator.servers.supervisor import Program

PYTHON = Path(sys.executable)
Command = list[str | Path]
_TERM = signal.SIGTERM
# Django's checks load every page and form; `make check` and `manage.py check` make them.
_UNCHECKED = {"CELERY_SKIP_CHECKS": "true"}
_QUICK: Sequence[tuple[int, float]] = ((_TERM, 3),)


def programs(host: str, port: int, live_port: int, stream_markets: bool = False) -> list[Program]:
    """Web, event stream, worker, beat and, if wanted, what follows the exchanges' streams, in the order of starting."""
    return [web(host, port), live(host, live_port), worker(), beat(), *([stream()] if stream_markets else [])]


def web(host: str, port: int) -> Program:
    command: Command = [PYTHON, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    command += ["--workers", "2", "--blocking-threads", "2", "--workers-kill-timeout", "1", "--log-level", "warning"]
    command += ["--respawn-failed-workers", "orchestrator.wsgi:application"]
    return Program("web", command, {"ORCHESTRATOR_PROCESS": "granian"}, _QUICK)


def live(host: str, port: int) -> Program:
    command: Command = [PYTHON, "-m", "dashboard.live", "--host", host, "--port", str(port)]
    return Program("live", command, {"ORCHESTRATOR_PROCESS": "live"}, _QUICK)


def worker() -> Program:
    command: Command = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "orchestrator",
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        "2",
    ]
    # Several on one machine have names of their own.
    command += ["--hostname", f"{os.getpid()}@%h", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    # SIGTERM lets running tasks end, SIGQUIT does not: tasks are safe to cut off, as each commits or does nothing.
    stop = [(_TERM, 10.0), (signal.SIGQUIT, 2.0)]
    # Asked to stop while its broker dies beside it, Celery may hang; killed, its pool processes end by themselves.
    return Program(
        "worker", command, {"ORCHESTRATOR_PROCESS": "worker", **_UNCHECKED}, stop, death_signal=signal.SIGKILL
    )


def beat() -> Program:
    command: Command = [PYTHON, "-m", "celery", "-A", "orchestrator", "beat", "--loglevel", "INFO"]
    return Program("beat", command, {"ORCHESTRATOR_PROCESS": "beat", **_UNCHECKED}, _QUICK)


def stream() -> Program:
    # What it has heard and not stored yet is asked for by the next sync: nothing is lost by a short end.
    return Program("stream", [PYTHON, "manage.py", "stream_markets"], {"ORCHESTRATOR_PROCESS": "stream"}, _QUICK)


def prepare() -> Program:
    return Program("prepare", [PYTHON, "manage.py", "prepare"], {}, _QUICK)


def plans(programs: Iterable[Program], logs: Path) -> dict[str, Plan]:
    """Of each program how it is forked, with its log in `logs`."""
    return {
        name: Plan([str(part) for part in command], dict(environment), str(logs / f"{name}.log"), death_signal)
        for name, command, environment, _, death_signal in programs
    }
