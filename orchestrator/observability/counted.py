"""The files that processes count into: what those that have ended left is added up in one, so that reading stays quick.

Whoever reads opens every file, and each takes milliseconds; commands and workers come and go for weeks.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client.mmap_dict import MmapedDict

from orchestrator import home

_LOCK = "reading.lock"
_WRITER = re.compile(r"^(?:gauge_)?[a-z]+_(?P<host>.+)-(?P<process>\d+)\.db$")
# A web process is asked for its health every ten seconds, a worker has a job every five; the kernel notes when they
# wrote within a minute.
SILENT_SECONDS = 3600


def folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def place() -> str:
    """Name of all who count into this state folder: the machine's, or that of the first of containers that share it."""
    return home.private_file("counted_at", socket.gethostname())[:100]


@contextmanager
def reading(where: Path) -> Iterator[None]:
    """Nothing is gathered meanwhile: a file that was listed is there to be read, and counts once."""
    with _locked(where, fcntl.LOCK_SH):
        yield


def gather_ended() -> None:
    """Add up the counts of processes that have ended, by kill -9 perhaps. Gauges end with them."""
    with _locked(folder(), fcntl.LOCK_EX):
        for path in ended():
            kind = path.name.partition("_")[0]
            left = [] if kind == "gauge" else list(MmapedDict.read_all_values_from_file(path))
            # Killed between the two it loses some counts, which is better than to count them twice for ever.
            path.unlink()
            if left:
                _add(left, path.with_name(f"{kind}_{place()}-ended.db"))


def ended() -> Iterator[Path]:
    """Files of processes that are no more."""
    for path in folder().glob("*.db"):
        writer = _WRITER.search(path.name)
        if writer and _has_ended(path, writer["host"], int(writer["process"])):
            yield path


def _has_ended(path: Path, host: str, process: int) -> bool:
    """Whether nobody writes to this file any more. Of other containers' processes all there is to see is its time."""
    try:
        written = path.stat().st_mtime
        if host == socket.gethostname():
            return psutil.Process(process).create_time() > written  # its number is another's now
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True
    return written < time.time() - SILENT_SECONDS


def _add(left: list[tuple[str, float, float, int]], path: Path) -> None:
    sums = MmapedDict(str(path))
    try:
        for key, value, at, _ in left:
            sums.write_value(key, sums.read_value(key)[0] + value, at)
    finally:
        sums.close()


@contextmanager
def _locked(where: Path, how: int) -> Iterator[None]:
    with (where / _LOCK).open("ab") as file:
        fcntl.flock(file, how)
        yield
