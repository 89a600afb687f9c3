"""The way to a process that becomes others by forking (orchestrator/preloaded.py), and to what it became."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NamedTuple

from orchestrator import home
from orchestrator.servers import children
from orchestrator.servers.privileges import LINUX

# Loading takes two seconds on an idle machine, and minutes where machine code is missing.
PATIENCE = 300.0
# To watch any process by a descriptor is Linux's; elsewhere each program is started on its own.
# How often it may be lost: every loss ends all programs, and they are better off on their own than in such a circle.
MOST_LOSSES = 3


def _can_watch() -> bool:
    """Whether the kernel has such descriptors (Linux 5.3) and lets us have them: not every container does."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


POSSIBLE = LINUX and _can_watch()


class Plan(NamedTuple):
    """What a fork runs: a command, with what more in its environment, where its output goes, how it ends with us."""

    command: list[str]
    environment: dict[str, str]
    log: str
    death_signal: int


class Fork:
    """One process that was forked, with as much of Popen as those who keep processes need."""

    def __init__(self, preloaded: Preloaded, pid: int) -> None:
        self._preloaded = preloaded
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        self._preloaded.hear(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._preloaded.hear(left)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Preloaded:
    """The process that forks. Use as a context: it ends with it, and takes along what it became."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self.log = home.folder("logs") / "preloaded.log"
        self._plans = json.dumps({name: plan._asdict() for name, plan in plans.items()})
        self._environment: Mapping[str, str] = {}
        self._process: children.Child | None = None
        self._channel: Connection | None = None
        self._living: dict[int, Fork] = {}
        self._is_hopeless = not POSSIBLE
        self._has_forked = False
        self._losses = 0

    def __enter__(self) -> Preloaded:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lose()

    def start(self, environment: Mapping[str, str]) -> None:
        """Begin to load, beside whatever else there is to do."""
        self._environment = environment
        if self._is_hopeless or self._losses > MOST_LOSSES or self._channel:
            return
        self._channel, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-m", "orchestrator.preloaded", str(theirs.fileno()), self._plans]
            passed = [theirs.fileno()]
            self._process = children.spawn(command, self.log, environment, folder=home.PROJECT, passed=passed)

    def fork(self, name: str) -> Fork | None:
        """A new process of this plan; None where none can be had, and each has to load for itself."""
        self.start(self._environment)
        if not self._channel:
            return None
        try:
            self._channel.send(name)
            pid = self._started()
        except (OSError, EOFError):
            # One that had forked before was killed, and loads again; one that never did will not do better.
            self._is_hopeless = not self._has_forked
            self._lose()
            return None
        self._has_forked = True
        fork = self._living[pid] = Fork(self, pid)
        return fork

    def hear(self, seconds: float | None) -> None:
        """Note who has ended, waiting that long for news (None: until there are some)."""
        if not self._channel:
            return
        try:
            while self._channel.poll(seconds):
                self._note(*self._channel.recv())
                seconds = 0
        except (OSError, EOFError):
            self._lose()

    def _started(self) -> int:
        """The pid of what was asked for. Raises EOFError when it will not come."""
        assert self._channel
        while self._channel.poll(PATIENCE):
            news, pid, status = self._channel.recv()
            if news == "started":
                return int(pid)
            if pid not in self._living:
                break  # it ended before it could say anything
            self._note(news, pid, status)
        raise EOFError

    def _note(self, news: str, pid: int, status: int) -> None:
        if news == "ended" and pid in self._living:
            self._living.pop(pid).returncode = status

    def _lose(self) -> None:
        """End it; the kernel ends what it became, as nobody would hear of their end."""
        if self._channel:
            self._channel.close()
            self._channel = None
        if self._process:
            self._losses += 1
            children.end(self._process, (signal.SIGTERM, 1))
            self._process = None
        for fork in self._living.values():
            fork.returncode = -signal.SIGKILL
        self._living.clear()
