"""Real commands in a home of their own, as somebody at a terminal runs them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from django.core.management import execute_from_command_line
from django.db import connections

from orchestrator.home import PROJECT

# Commands start twice as fast when they find the bytecode of the sources, so it is written whatever the machine wants.
UNSET = (
    "PYTHONDONTWRITEBYTECODE",
    "DJANGO_ALLOW_ASYNC_UNSAFE",
    "DATABASE_URL",
    "REDIS_URL",
    "SERVER_BINARIES",
    "HOST",
    "PORT",
    "LIVE_PORT",
)


def environment(home, **variables):
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, "ORCHESTRATOR_HOME": str(home), **{name: str(value) for name, value in variables.items()}}


def manage(home, *arguments, **variables):
    """A finished `manage.py …`, with its exit status and both outputs as text."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def forked(work, *arguments):
    """A copy of this process at work on connections of its own, which needs not import and compile everything anew."""
    connections.close_all()
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def commanded(folder, *words):
    """A finished `manage.py …` like manage()'s, in a copy of this process: on the settings and rows of the tests."""
    paths = folder / "stdout.txt", folder / "stderr.txt"
    process = forked(_command, paths, words)
    process.join(120)
    return subprocess.CompletedProcess(words, process.exitcode, *(path.read_text() for path in paths))


def _command(paths, words):
    with paths[0].open("w") as stdout, paths[1].open("w") as stderr, redirect_stdout(stdout), redirect_stderr(stderr):
        execute_from_command_line(["manage.py", *words])


@contextmanager
def running(home, *arguments, **variables):
    """A `manage.py …` that runs on, its output going to a file below the home's parent; killed at the end."""
    output = Path(home).parent / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=environment(home, **variables),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    process.output = output
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return result


def stop(process, number=signal.SIGINT, seconds=30):
    process.send_signal(number)
    return process.wait(seconds)


def living(home):
    """Processes that work in this home or were started for it, zombies aside: {pid: command}."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            marks = (entry / "environ").read_bytes().split(b"\0")
            folder = os.readlink(entry / "cwd")
        except OSError:
            continue  # it has ended meanwhile, or is a thread of the kernel
        if command and (f"ORCHESTRATOR_HOME={home}".encode() in marks or folder.startswith(str(home))):
            found[int(entry.name)] = command
    return found
