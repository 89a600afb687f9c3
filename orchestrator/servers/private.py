"""The private servers of one home, together: started, written down for other commands, stopped."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from orchestrator import env, home
from orchestrator.servers import addresses, ports
from orchestrator.servers.errors import ServerError
from orchestrator.servers.postgres import Postgres
from orchestrator.servers.redis import Redis


class PrivateServers:
    """Those of Postgres and Redis that no variable points elsewhere. Use as a context: stopped whatever happens.

    `launched` is called with the addresses of both as soon as they are known, before they answer.
    """

    def __init__(
        self, purpose: str, durable: bool = True, launched: Callable[[str, str], None] = lambda *urls: None
    ) -> None:
        self._purpose = purpose
        self._durable = durable
        self._launched = launched
        self._lock = addresses.lock()
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None

    def __enter__(self) -> PrivateServers:
        home.folder()
        if not self._lock.acquire(self._purpose):
            found = self._lock.holder()
            who = f"{found.purpose}, process {found.pid}" if found else "another start"
            raise ServerError(f"The servers of {home.home()} are running already ({who}): stop that first.")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        addresses.forget()
        for server in (self.redis, self.postgres):
            if server:
                server.stop()
        self._lock.release()

    def pids(self) -> list[int]:
        return [server.child.pid for server in (self.postgres, self.redis) if server and server.child]

    def revive(self) -> list[str]:
        """Start again what has ended without being asked to; the names of it. Raises ServerError when that fails."""
        revived = []
        for server in (self.postgres, self.redis):
            if server and server.child and server.child.poll() is not None:
                server.launch()
                server.wait_ready()
                revived.append(type(server).__name__)
        return revived

    def _start(self) -> None:
        if not env.given("DATABASE_URL"):
            self.postgres = Postgres(*_place("postgres"), durable=self._durable)
            self.postgres.launch()
        if not env.given("REDIS_URL"):
            self.redis = Redis(*_place("redis"), durable=self._durable)
            self.redis.launch()
        database_url = self.postgres.url if self.postgres else ""
        redis_url = self.redis.url if self.redis else ""
        self._launched(database_url or env.given("DATABASE_URL"), redis_url or env.given("REDIS_URL"))
        for server in (self.postgres, self.redis):
            if server:
                server.wait_ready()
        addresses.write(database_url=database_url, redis_url=redis_url)


def _place(name: str) -> tuple[Path, Path, int, str]:
    """Data directory, log, port and password of a server."""
    root = home.folder()
    password = home.private_file(f"{name}.password", secrets.token_urlsafe(32))
    return root / name, home.folder("logs") / f"{name}.log", ports.remembered(root / "ports.json", name), password
