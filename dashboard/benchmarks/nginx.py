"""Pages through nginx as it is shipped (deploy/nginx.conf), before the web server of `make run`, on loopback.

Thousands of connections ask at a rate that they keep, whatever is answered; the time of a page counts from when it was
due. All share this machine, and each one's share is told.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
from django.core.management.base import CommandError, CommandParser

from bots import load
from dashboard.benchmarks import web
from dashboard.benchmarks.load_client import Order
from dashboard.benchmarks.web import CACHED, USER, Server
from orchestrator.benchmarks import Row, own_database, row
from orchestrator.home import PROJECT
from orchestrator.servers import children, ports

SHIPPED = PROJECT / "deploy/nginx.conf"
PLACES = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
TYPES = ("/etc/nginx/mime.types", "/usr/local/etc/nginx/mime.types", "/opt/homebrew/etc/nginx/mime.types")
MISSING = "nginx is not on this machine: install it (apt-get install nginx) to measure through it."
SPARE_FILES = 200
START_SECONDS, WARM_SECONDS = 20.0, 3.0
MOST_CONNECTIONS, MOST_USERS = 20_000, 1_000
OFFERED, MOST_MS = 10_000, 20


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--trades", type=int, default=100_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10, help="Default: 10.")
    parser.add_argument(
        "--connections", type=int, default=8_000, help="Default: 8,000, or as many as this shell allows files."
    )
    parser.add_argument("--rate", type=int, default=OFFERED, help="Pages a second that are asked for; default: 10,000.")
    parser.add_argument("--users", type=int, default=10, help="Sessions that they share; default: 10.")
    web.add_settling(parser)


def rows(options: dict[str, Any]) -> list[Row]:
    """Pages offered and answered a second, their times, errors, and who took how much of the machine."""
    web.check_seconds(options["seconds"])
    for name, most in (("connections", MOST_CONNECTIONS), ("users", MOST_USERS), ("rate", 100_000)):
        if not 1 <= options[name] <= most:
            raise CommandError(f"{name} must be from 1 to {most:,}, not {options[name]}.")
    if program() is None:
        raise CommandError(MISSING)
    connections = min(options["connections"], _open_files() - SPARE_FILES)
    with own_database(), ExitStack() as cleanup:
        load.seed(options["bots"], options["trades"], options["markets"], USER)
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        server = cleanup.enter_context(web.served(folder))
        nginx = cleanup.enter_context(running(folder / "nginx", server.port))
        server.settle(options["settle"])
        return _measured(server, nginx, connections, options)


def program() -> str | None:
    return shutil.which("nginx", path=PLACES)


def _open_files() -> int:
    """As many as this process may have open, and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def configuration(folder: Path, port: int, web_port: int) -> Path:
    """The shipped configuration on a port of loopback, with all that it keeps below the folder."""
    text = SHIPPED.read_text()
    types = next((path for path in TYPES if Path(path).exists()), TYPES[0])
    for old, new in (
        ("web:8000", f"127.0.0.1:{web_port}"),
        ("live:8001", f"127.0.0.1:{web_port}"),
        ("listen 80 ", f"listen 127.0.0.1:{port} "),
        ("/tmp/nginx-pages", str(folder / "pages")),
        ("include mime.types", f"include {types}"),
    ):
        if old not in text:
            raise CommandError(f"deploy/nginx.conf no longer says {old!r}.")
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def command(folder: Path, path: Path, *options: str) -> list[str | Path]:
    """nginx in the foreground. Raises CommandError where there is none."""
    found = program()
    if found is None:
        raise CommandError(MISSING)
    # Root's workers would be somebody who may not enter the folder.
    who = "user root; " if os.geteuid() == 0 else ""
    log = folder / "error.log"
    globally = f"daemon off; {who}pid {folder}/pid; error_log {log};"
    return [found, "-c", path, "-p", folder, "-e", log, "-g", globally, *options]


@contextmanager
def running(folder: Path, web_port: int) -> Iterator[Server]:
    """nginx before the web server of that port."""
    folder.mkdir()
    port = ports.any_free()
    path = configuration(folder, port, web_port)
    child = subprocess.Popen(command(folder, path), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while ports.is_free(port):
            if child.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"nginx does not start: {children.last_line(folder / 'error.log')}")
            time.sleep(0.05)
        yield Server(port, psutil.Process(child.pid))
    finally:
        child.terminate()
        child.wait()


def _measured(server: Server, nginx: Server, connections: int, options: dict[str, Any]) -> list[Row]:
    users = [web.cookies(nginx.port) for _ in range(min(options["users"], connections))]
    asked = [[web.request(path, cookie) for path in CACHED] for cookie in users]
    visitors = [asked[turn % len(asked)] for turn in range(connections)]
    order = Order(port=nginx.port, seconds=options["seconds"], every=connections / options["rate"], visitors=visitors)
    job = f"{connections:,} connections of {len(users)} users through nginx"
    # Everybody has been there: what thousands of first pages cost is another question.
    web.loaded(server, Order(port=nginx.port, seconds=WARM_SECONDS, every=0.0, visitors=asked), job)
    result, shares = web.loaded(server, order, job, nginx)
    well = result.statuses.get("200", 0)
    return [
        row(f"{job}, offered", result.asked / result.seconds, "1/s", OFFERED),
        row(f"{job}, answered", well / result.seconds, "1/s"),
        row(f"{job}, errors", sum(result.statuses.values()) - well, "answers"),
        *web.times(job, result, MOST_MS),
        *shares,
    ]
