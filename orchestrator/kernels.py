"""numba's cache filled by several processes at once.

It keeps the index of a function's machine code in one file, which two processes would overwrite for each other. So each
compiles into a folder of its own, and what they made is put together.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.servers.privileges import end_with_parent

MOST_PROCESSES = 4  # each takes 300 MB, and there is little left for more to do


def cores() -> int:
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST_PROCESSES
    )


def fill(cache: Path, work: Callable[[int], None], parts: int, processes: int) -> None:
    """Have the parts compiled, the first ones first, and their machine code in numba's cache.

    work: compiles the part of this number; a function of a module, which is loaded after the process has its folder.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache.parent) as folder:
        given = (folder, os.getpid())
        with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_work_apart, initargs=given) as pool:
            list(pool.map(work, range(parts)))
        for own in sorted(Path(folder).iterdir()):
            _take(own, cache)


def _work_apart(folder: str, parent: int) -> None:
    end_with_parent(parent, signal.SIGKILL)
    os.environ["NUMBA_CACHE_DIR"] = f"{folder}/{os.getpid()}"


def _take(own: Path, cache: Path) -> None:
    """A function is taken with all that its index names or not at all, the index last."""
    for index in own.rglob("*.nbi"):
        kept = cache / index.relative_to(own)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            for machine_code in index.parent.glob(f"{index.stem}.*.nbc"):
                shutil.move(machine_code, kept.parent)
            shutil.move(index, kept)
