"""Keeps the processes of one home running: starts them, starts them again when they end, stops them in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from orchestrator import home
from orchestrator.servers import children
from orchestrator.servers.forks import Preloaded
from orchestrator.servers.logs import Log

# Marks every process that belongs to a home, so that those a killed supervisor left behind can be found.
MARK = "ORCHESTRATOR_SUPERVISED"
POLL_SECONDS = 0.25
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# A process that ran this long was healthy: its next end is a new story.
HEALTHY_SECONDS = 60.0

Say = Callable[[str], None]


class Program(NamedTuple):
    """A process to keep running: its command and how it is asked to stop, as (signal, seconds to wait) in turn."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    stop: Sequence[tuple[int, float]]
    # Sent by the kernel when the supervisor is killed and cannot ask.
    death_signal: int = signal.SIGTERM


class Stopped(BaseException):
    """Somebody asked this process to stop. Not an Exception: nothing on the way may take it for a failure."""


def stop_on_signals() -> None:
    """Turn Ctrl-C, termination and a closed terminal into Stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_stopped)


def ignore_signals() -> None:
    """A second Ctrl-C must not cut an orderly stop short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _raise_stopped(number: int, frame: object) -> NoReturn:
    raise Stopped


class Running:
    """One program with its process and its log; forked from what is preloaded, where that can be."""

    def __init__(self, program: Program, environment: Mapping[str, str], preloaded: Preloaded | None = None) -> None:
        self.program = program
        self._preloaded = preloaded
        self.log = Log(home.folder("logs") / f"{program.name}.log")
        self.child: children.Child | None = None
        self._environment = {**environment, **program.environment}
        self.is_started = False
        self._started = self._due = 0.0
        self._pause = FIRST_PAUSE

    def start(self) -> None:
        self.is_started = True
        self.log.rotate()
        self._started = time.monotonic()
        self.child = (self._preloaded and self._preloaded.fork(self.program.name)) or children.spawn(
            self.program.command,
            self.log.path,
            self._environment,
            folder=home.PROJECT,
            death_signal=self.program.death_signal,
        )

    def look(self, say: Say) -> None:
        """Start it again when it has ended and its pause is over; mention new errors in its log."""
        if self.child is None:
            if time.monotonic() >= self._due:
                self.start()
        elif self.child.poll() is not None:
            say(f"{self.program.name} ended ({_ending(self.child.returncode)}) and is started again: {self.log.path}")
            self._plan_restart()
        elif self.log.has_new_errors():
            say(f"{self.program.name} reports an error: {self.log.path}")

    def _plan_restart(self) -> None:
        assert self.child
        children.kill_group(self.child.pid)
        if time.monotonic() - self._started > HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE
        self._due = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.child = None

    def ask_to_stop(self) -> None:
        if self.child and self.child.poll() is None:
            self.child.send_signal(self.program.stop[0][0])

    def finish(self) -> None:
        """Wait for the end that was asked for, insist when it does not come."""
        if self.child:
            children.await_end(self.child, self.program.stop[0][1])
            children.end(self.child, *self.program.stop[1:])
            self.child = None


class Supervisor:
    """Runs programs, started when asked to; leaving the context stops them, the last of the list first."""

    def __init__(
        self,
        programs: Sequence[Program],
        environment: Mapping[str, str],
        say: Say,
        preloaded: Preloaded | None = None,
    ) -> None:
        self._say = say
        self.running = [Running(program, environment, preloaded) for program in programs]

    def __enter__(self) -> Supervisor:
        return self

    def start(self, *names: str) -> None:
        """Start the programs of these names; without names all that are not started yet."""
        for running in self.running:
            if not running.is_started and (running.program.name in names or not names):
                running.start()

    def __exit__(self, *exception: object) -> None:
        ignore_signals()
        # All are asked before any is waited for: a worker takes two seconds even when it has nothing to do.
        for running in reversed(self.running):
            running.ask_to_stop()
        for running in reversed(self.running):
            running.finish()

    def look(self) -> None:
        for running in self.running:
            if running.is_started:
                running.look(self._say)


def end_left_over() -> None:
    """End what a killed supervisor of this home left running (everything, where the kernel does not do it)."""
    children.end_orphans(children.started_with(f"{MARK}={home.home()}"), signal.SIGTERM, seconds=5)


def _ending(status: int | None) -> str:
    assert status is not None
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
