"""A private Postgres: its data directory, its process, its one database."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator.home import write_private
from orchestrator.servers import binaries, children, privileges
from orchestrator.servers.errors import ServerError
from orchestrator.servers.ports import LOOPBACK

if TYPE_CHECKING:
    from psycopg import Connection

NAME = "orchestrator"
# A start after a crash replays the log written since the last checkpoint, which takes its time on a slow disk.
READY_SECONDS = 120
# Disks of today find a page nearly as fast as the next one: with 4, the default, it reads all runs of all users to add
# up those of one.
OPTIONS = ("random_page_cost=1.1",)
# Only for data that nobody will miss.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """Listens on loopback only, on no unix socket: a socket's path has room for some 100 characters, a home may not."""

    def __init__(self, data: Path, log: Path, port: int, password: str, durable: bool = True) -> None:
        self.data = data
        self.log = log
        self.port = port
        self.password = password
        self.durable = durable
        self.child: children.Child | None = None

    @property
    def url(self) -> str:
        return f"postgres://{NAME}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{NAME}"

    def launch(self) -> None:
        """Start the process, making the data directory when there is none. Raises ServerError."""
        self._end_orphans()
        programs = binaries.postgres(self._major())
        if not self.data.exists():
            self._initialise(programs.folder)
        user = privileges.unprivileged_user(self.data)
        options = [f"port={self.port}", f"listen_addresses={LOOPBACK}", "unix_socket_directories=", *OPTIONS]
        options += () if self.durable else NOT_DURABLE
        self.child = children.spawn(
            [programs.folder / "postgres", "-D", self.data, *(part for option in options for part in ("-c", option))],
            log=self.log,
            environment=_environment(),
            user=user,
            needs=[programs.folder / "postgres", self.data],
            death_signal=signal.SIGINT,
        )

    def wait_ready(self) -> None:
        """Return when the database can be used. Raises ServerError when Postgres ended or takes too long."""
        assert self.child
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready(self.child.pid):
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Postgres did not start, see {self.log}: {children.last_line(self.log)}")
            time.sleep(0.01)
        self._make_database()

    def _is_ready(self, pid: int) -> bool:
        """As pg_ctl finds out: a file's first line is whose it is, its last what that one does."""
        try:
            words = (self.data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return bool(words) and words[0] == str(pid) and words[-1] in {"ready", "standby"}

    def _make_database(self) -> None:
        """Once for this data: a driver takes the start time, and its parent memory for as long as it runs."""
        made, identifier = self.data.with_suffix(".made"), (self.data / "global/pg_control").read_bytes()[:8].hex()
        if made.exists() and made.read_text() == identifier:
            return
        import psycopg

        try:
            with psycopg.connect(self.url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
                _create_database(connection)
        except psycopg.OperationalError as error:
            raise ServerError(f"Postgres cannot be asked for its databases, see {self.log}: {error}") from None
        made.write_text(identifier)

    def stop(self) -> None:
        """Fast shutdown: sessions are cut off, everything committed is written. Then an immediate one."""
        if self.child:
            children.end(self.child, (signal.SIGINT, 20), (signal.SIGQUIT, 5))
            self.child = None

    def _major(self) -> int | None:
        """Version that wrote the data directory, None when there is none."""
        try:
            return int((self.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            if self.data.exists():
                raise ServerError(f"{self.data} holds no Postgres data: move it away, then start again.") from None
            return None
        except PermissionError:
            raise ServerError(
                f"{self.data} belongs to another user: start as that user or as root, or set ORCHESTRATOR_HOME."
            ) from None

    def _initialise(self, programs: Path) -> None:
        """Make the data directory aside and move it in place, so that one cut short is never taken for good."""
        draft, secret = self.data.with_suffix(".new"), self.data.with_suffix(".secret")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(secret, self.password)
        user = privileges.unprivileged_user(self.data)
        if user:
            for path in (draft, secret):
                os.chown(path, user.uid, user.gid)
        command: list[str | Path] = [programs / "initdb", "-D", draft, "-U", NAME, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", *([] if self.durable else ["--no-sync"])]
        try:
            child = children.spawn(
                command,
                log=self.log,
                environment=_environment(),
                user=user,
                needs=[programs / "initdb", draft],
                death_signal=signal.SIGKILL,
            )
            if child.wait() != 0:
                raise ServerError(f"Postgres could not set up {draft}, see {self.log}: {children.last_line(self.log)}")
            draft.rename(self.data)
        finally:
            secret.unlink()

    def _end_orphans(self) -> None:
        """End a server that outlived a killed supervisor, and forget one that is only written down.

        Postgres would refuse to start when the number in its pid file now belongs to any other process.
        """
        children.end_orphans(children.working_in(self.data), signal.SIGINT)
        if privileges.LINUX:
            (self.data / "postmaster.pid").unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    # Not ours: PGDATA, PGPORT and the like would change what is started, a locale what is written to the log.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _create_database(connection: Connection[Any]) -> None:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone()
    if not found:
        connection.execute(f'CREATE DATABASE "{NAME}"')
