"""Where Postgres and Redis are: what the user set, else what the running private servers wrote down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from orchestrator import env, home
from orchestrator.servers.lock import Lock

NO_SERVERS = "No database is running: start `make run` or `manage.py services start`, or set DATABASE_URL."
# Reserved and never listening, so that a command which needs no database still starts.
_NOWHERE = "postgres://nobody@127.0.0.1:1/orchestrator"
# A server that goes without a word, as its machine or the network fails, is given up after half a minute. Otherwise
# whoever waits for it would do so for a quarter of an hour, or two hours where nothing was on its way.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def _file() -> Path:
    return home.home() / "servers.json"


def lock() -> Lock:
    """Held by the process whose children the private servers are."""
    return Lock(home.home() / "servers.lock")


def write(**urls: str) -> None:
    """Note where the private servers are, for every command that runs beside them."""
    home.write_private(_file(), json.dumps({key: url for key, url in urls.items() if url}))


def forget() -> None:
    _file().unlink(missing_ok=True)


def are_written() -> bool:
    return _file().exists() and lock().holder() is not None


def _written(key: str) -> str:
    """Address that the private servers left in servers.json; "" when they do not run.

    A note whose writer was killed stays behind: it counts only as long as somebody holds the lock of the servers.
    """
    try:
        found: dict[str, Any] = json.loads(_file().read_text())
    except FileNotFoundError:
        return ""
    except PermissionError:
        raise env.EnvError(f"{_file()} belongs to another user: run this as that user, or set DATABASE_URL.") from None
    return str(found.get(key, "")) if lock().holder() else ""


def database_url() -> str:
    return env.given("DATABASE_URL") or _written("database_url")


def redis_url() -> str:
    return env.given("REDIS_URL") or _written("redis_url")


def database(url: str, variable: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's settings for a postgres:// address out of a variable. Raises EnvError when it is none."""
    parts = urlsplit(url or _NOWHERE)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise env.EnvError(f"{variable} must start with postgres://, not {parts.scheme or 'nothing'!r}.")
    name = parts.path.lstrip("/")
    if not name:
        raise env.EnvError(f"{variable} must end with the database's name: postgres://user:password@host:port/name.")
    try:
        port = parts.port
    except ValueError:
        raise env.EnvError(f"{variable} must have a port from 0 to 65535 after the host, or none.") from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(name),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        "OPTIONS": {**_PATIENCE, **dict(parse_qsl(parts.query))},
    }


def unreachable(error: Exception) -> str:
    """What to tell about a failed connection, "" when the error is not about the connection."""
    if getattr(error.__cause__, "sqlstate", None):
        return ""  # Postgres itself answered, about a statement
    url = database_url()
    if not url:
        return NO_SERVERS
    parts = urlsplit(url)
    source = "DATABASE_URL" if env.given("DATABASE_URL") else "the private server"
    return f"Postgres at {parts.hostname}:{parts.port or 5432} ({source}) cannot be used: {_reason(error)}"


def _reason(error: Exception) -> str:
    """The server's own words: the last part of a message such as `connection failed: … FATAL: no such role`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rpartition("failed: ")[2] if lines else "no reason was given"
