"""The files that processes count into: what those that have ended left is added up in one, so that reading stays quick.

Whoever reads opens every file, and each takes milliseconds; commands and workers come and go for weeks.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client.mmap_dict import MmapedDict

_LOCK = "reading.lock"


def folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


@contextmanager
def reading(where: Path) -> Iterator[None]:
    """Nothing is gathered meanwhile: a file that was listed is there to be read, and counts once."""
    with _locked(where, fcntl.LOCK_SH):
        yield


def gather_ended() -> None:
    """Add up the counts of this machine's processes that have ended, by kill -9 perhaps. Gauges end with them."""
    with _locked(folder(), fcntl.LOCK_EX):
        for path in ended():
            kind = path.name.partition("_")[0]
            left = [] if kind == "gauge" else list(MmapedDict.read_all_values_from_file(path))
            # Killed between the two it loses some counts, which is better than to count them twice for ever.
            path.unlink()
            if left:
                _add(left, path.with_name(f"{kind}_{socket.gethostname()}-ended.db"))


def ended() -> Iterator[Path]:
    """Files of this machine's processes that are no more."""
    for path in folder().glob(f"*_{socket.gethostname()}-*.db"):
        process = path.stem.rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            yield path


def _add(left: list[tuple[str, float, float, int]], path: Path) -> None:
    sums = MmapedDict(str(path))
    try:
        for key, value, time, _ in left:
            sums.write_value(key, sums.read_value(key)[0] + value, time)
    finally:
        sums.close()


@contextmanager
def _locked(where: Path, how: int) -> Iterator[None]:
    with (where / _LOCK).open("ab") as file:
        fcntl.flock(file, how)
        yield
