"""The processes of this installation on this machine: what they are, their memory and time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil

from orchestrator import home
from orchestrator.servers import children
from orchestrator.servers.supervisor import MARK


@dataclass(frozen=True, slots=True)
class Process:
    """memory in bytes: its own and its share of what it has in common (PSS); resident where nobody tells."""

    pid: int
    command: str
    memory: int
    cpu_seconds: float
    threads: int
    started: datetime


@dataclass(frozen=True, slots=True)
class Machine:
    cores: int
    load: tuple[float, float, float]
    memory: int
    available: int
    disk_free: int


def machine() -> Machine:
    """Bytes of memory and of the disk under the state folder."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(home.folder()))
    return Machine(psutil.cpu_count() or 1, psutil.getloadavg(), memory.total, memory.available, disk.free)


def processes() -> list[Process]:
    """Those that `make run` started from this state folder, by memory; none where something else runs them."""
    others = children.started_with(f"{MARK}={home.home()}")
    own = [os.getpid()] if os.environ.get(MARK) else []
    found = (_read(pid) for pid in (*own, *others))
    return sorted((one for one in found if one), key=lambda one: -one.memory)


def _read(pid: int) -> Process | None:
    """None when it has just ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return Process(
                pid=pid,
                command=_name(process.cmdline()),
                memory=_memory(process),
                cpu_seconds=times.user + times.system,
                threads=process.num_threads(),
                started=datetime.fromtimestamp(process.create_time(), UTC),
            )
    except psutil.NoSuchProcess:
        return None


def _memory(process: psutil.Process) -> int:
    try:
        return int(getattr(process.memory_full_info(), "pss", 0) or process.memory_info().rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def _name(command: list[str]) -> str:
    """The telling words of a command line: no interpreter, no options, no addresses."""
    words = [word.rpartition("/")[2] for word in command if word and not word.startswith("-")]
    telling = {"granian", "dashboard.live", "worker", "beat", "postgres", "redis-server"}
    known = [word for word in words if word in telling]
    return (known or words or ["?"])[0][:60]
