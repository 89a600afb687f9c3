"""A private Redis: queue and cache of one home."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import quote

from orchestrator.servers import binaries, children, privileges
from orchestrator.servers.errors import ServerError
from orchestrator.servers.ports import LOOPBACK

READY_SECONDS = 60


class Redis:
    """Listens on loopback only, asks for a password, keeps its queue on disk in an append-only file.

    No snapshot file is written: a snapshot of a newer Redis would keep an older one from starting.
    """

    def __init__(self, data: Path, log: Path, port: int, password: str, durable: bool = True) -> None:
        self.data = data
        self.log = log
        self.port = port
        self.password = password
        self.durable = durable
        self.child: children.Child | None = None

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/0"

    def launch(self) -> None:
        """Start the process. Raises ServerError."""
        children.end_orphans(children.working_in(self.data), signal.SIGTERM)
        program = binaries.redis()
        user = privileges.unprivileged_user(self.data)
        self.data.mkdir(mode=0o700, exist_ok=True)
        if user:
            os.chown(self.data, user.uid, user.gid)
        self.child = children.spawn(
            [program, "-"],
            log=self.log,
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            user=user,
            needs=[program, self.data],
            # On standard input, so that the password is on no disk twice and in no list of processes.
            text=self._configuration(),
        )

    def wait_ready(self) -> None:
        """Return when commands are answered. Raises ServerError when Redis ended or takes too long."""
        assert self.child
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Redis did not start, see {self.log}: {children.last_line(self.log)}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self.child:
            children.end(self.child, (signal.SIGTERM, 10))
            self.child = None

    def _configuration(self) -> str:
        folder = str(self.data).replace("\\", "\\\\").replace('"', '\\"')
        return (
            f"bind {LOOPBACK}\nport {self.port}\nrequirepass {self.password}\n"
            f'dir "{folder}"\nappendonly {"yes" if self.durable else "no"}\nsave ""\n'
            "maxmemory-policy noeviction\n"
        )

    def _answers(self) -> bool:
        """Whether PING is answered; by hand, as the client library would take longer to load than Redis to start."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return b"+PONG" in _lines(connection, 2)
        except OSError:
            return False


def _lines(connection: socket.socket, count: int) -> bytes:
    received = b""
    while received.count(b"\r\n") < count and (part := connection.recv(1024)):
        received += part
    return received
