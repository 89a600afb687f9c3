"""One holder of something in a home at a time; the kernel lets go of it when the holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from orchestrator.servers.errors import ServerError


class Holder(NamedTuple):
    pid: int
    purpose: str


class Lock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def acquire(self, purpose: str) -> bool:
        """Take the lock, noting who holds it for what; False when another process has it."""
        descriptor = self._open()
        if not _taken(descriptor):
            os.close(descriptor)
            return False
        note = json.dumps(Holder(os.getpid(), purpose)).encode()
        os.pwrite(descriptor, note, 0)
        os.ftruncate(descriptor, len(note))
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def holder(self) -> Holder | None:
        """Who holds it, None when nobody does."""
        if not self.path.exists():
            return None
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._noted(descriptor)
        finally:
            os.close(descriptor)
        return None

    def _noted(self, descriptor: int) -> Holder:
        try:
            return Holder(*json.loads(os.pread(descriptor, 1000, 0)))
        except (ValueError, TypeError):
            return Holder(0, "another start")  # it took the lock a moment ago and has not written yet

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError:
            raise ServerError(
                f"{self.path} belongs to another user: start as that user or as root, or set ORCHESTRATOR_HOME."
            ) from None


def _taken(descriptor: int) -> bool:
    # Whoever asks for the holder has the lock for an instant, which must not count as somebody holding it.
    deadline = time.monotonic() + 0.2
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
