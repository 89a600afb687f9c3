"""Starting, finding and ending processes: each its own session, each with its own log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.servers import privileges
from orchestrator.servers.errors import ServerError
from orchestrator.servers.privileges import User


class Child(Protocol):
    """A process that we hear the end of, such as a Popen."""

    pid: int

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


def spawn(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    user: User | None = None,
    needs: Iterable[Path] = (),
    death_signal: int = signal.SIGTERM,
    text: str = "",
    passed: Sequence[int] = (),
) -> Child:
    """Start a process that logs to `log`, reads `text` on standard input and gets `death_signal` when we die.

    Of our open files it has those that are `passed`.

    It leads its own session, so that Ctrl-C reaches the supervisor alone, which then stops things in order.
    Raises ServerError when `user` cannot be taken on.
    """
    parent = os.getpid()

    def confine() -> None:
        if user:
            privileges.become(user, needs)
        privileges.end_with_parent(parent, death_signal)

    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(environment if environment is not None else os.environ),
                cwd=folder,
                start_new_session=True,
                preexec_fn=confine,
                pass_fds=passed,
            )
        except subprocess.SubprocessError:
            name = user.name if user else "this user"
            raise ServerError(
                f"{Path(command[0]).name} must not run as root and cannot be run as {name} here: "
                "start as an ordinary user, or set DATABASE_URL and REDIS_URL."
            ) from None
    assert child.stdin
    try:
        child.stdin.write(text.encode())
        child.stdin.close()
    except BrokenPipeError:
        pass  # it ended before reading; whoever waits for it to get ready reports that, with its log
    return child


def end(child: Child, *signals: tuple[int, float]) -> None:
    """Send each (signal, seconds to wait) in turn until the child has ended, then kill whatever is left of it."""
    for number, seconds in signals:
        if child.poll() is None:
            child.send_signal(number)
            await_end(child, seconds)
    kill_group(child.pid)
    child.wait()


def await_end(child: Child, seconds: float) -> None:
    """Wait for a child to end, `seconds` at most."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def working_in(folder: Path) -> list[int]:
    """Processes whose working directory is `folder`: how Postgres and Redis run in their data. Linux only."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended meanwhile, or belongs to somebody else
    return found


def started_with(*variables: str) -> list[int]:
    """Processes that were started with all these NAME=value in their environment. Linux only."""
    wanted = {variable.encode() for variable in variables}
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # it has ended meanwhile, or belongs to somebody else
        if wanted <= set(environment.split(b"\0")) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def end_orphans(pids: Iterable[int], number: int, seconds: float = 10) -> None:
    """Signal processes that are not our children, wait for them to end, kill those that do not."""
    left = [pid for pid in pids if _signal(pid, number)]
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [pid for pid in left if is_running(pid)]
    for pid in left:
        _signal(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    return _signal(pid, 0)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def last_line(log: Path) -> str:
    """The last non-empty line of a log, "" when it has none."""
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return text.rpartition("\n")[2]
