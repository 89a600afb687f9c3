from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import env, home
from orchestrator.servers import addresses, children
from orchestrator.servers.errors import ServerError
from orchestrator.servers.lock import Holder
from orchestrator.servers.private import PrivateServers
from orchestrator.servers.supervisor import POLL_SECONDS, Stopped, ignore_signals, stop_on_signals

PURPOSE = "services"
START_SECONDS = 150
STOP_SECONDS = 45


class Command(BaseCommand):
    help = "The private Postgres and Redis alone: start (in the background), stop, status, or run in the foreground."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "run"])
        parser.add_argument("--json", action="store_true", help="One JSON document on standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {"start": _start, "stop": _stop, "status": _no_change, "run": _run}
        try:
            actions[options["action"]]()
        except ServerError as error:
            raise CommandError(str(error), returncode=2) from None
        state = _state()
        self.stdout.write(json.dumps(state) if options["json"] else _sentence(state))
        if options["action"] == "status" and not state["running"]:
            sys.exit(1)


def _no_change() -> None:
    return None


def _run() -> None:
    """Until a signal comes; for the background, a service unit or a container."""
    stop_on_signals()
    try:
        with PrivateServers(PURPOSE) as servers:
            try:
                while True:
                    time.sleep(POLL_SECONDS)
                    servers.revive()
            finally:
                ignore_signals()
    except Stopped:
        return


def _start() -> None:
    if addresses.lock().holder():
        return
    if env.given("DATABASE_URL") and env.given("REDIS_URL"):
        raise ServerError("DATABASE_URL and REDIS_URL are set, so there is nothing to start.")
    log = home.folder("logs") / "services.log"
    # Its own session and no death signal: these servers are meant to outlive the command that starts them.
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "manage.py", "services", "run"],
            cwd=home.PROJECT,
            env={**os.environ, "ORCHESTRATOR_HOME": str(home.home())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not addresses.are_written():
        if child.poll() is not None or time.monotonic() > deadline:
            raise ServerError(children.last_line(log))
        time.sleep(0.02)


def _stop() -> None:
    holder = addresses.lock().holder()
    if holder is None:
        return
    if holder.purpose != PURPOSE:
        raise ServerError(f"The servers belong to {holder.purpose}, process {holder.pid}: stop that with Ctrl-C.")
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while children.is_running(holder.pid):
        if time.monotonic() > deadline:
            raise ServerError(f"The servers did not stop within {STOP_SECONDS} s, see {home.folder('logs')}.")
        time.sleep(0.02)


def _state() -> dict[str, Any]:
    holder: Holder | None = addresses.lock().holder()
    return {
        "running": holder is not None and addresses.are_written(),
        "owner": holder._asdict() if holder else None,
        "postgres": _endpoint(addresses.database_url()),
        "redis": _endpoint(addresses.redis_url()),
        "home": str(home.home()),
    }


def _endpoint(url: str) -> str | None:
    """host:port of a server; not its address, which holds the password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if url else None


def _sentence(state: dict[str, Any]) -> str:
    if not state["running"]:
        return "No private servers are running."
    return f"Running: Postgres at {state['postgres']}, Redis at {state['redis']}, data in {state['home']}."
