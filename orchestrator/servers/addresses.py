"""Where Postgres and Redis are: what the user set, else what the running private servers wrote down."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from orchestrator import env, home

NO_SERVERS = "No database is running: start `make run` or `manage.py services start`, or set DATABASE_URL."
# Reserved and never listening, so that a command which needs no database still starts.
_NOWHERE = "postgres://nobody@127.0.0.1:1/orchestrator"


def _written(key: str) -> str:
    """Address that the private servers left in servers.json; "" when they do not run."""
    try:
        found: dict[str, Any] = json.loads((home.home() / "servers.json").read_text())
    except FileNotFoundError:
        return ""
    return str(found.get(key, ""))


def database_url() -> str:
    return env.given("DATABASE_URL") or _written("database_url")


def redis_url() -> str:
    return env.given("REDIS_URL") or _written("redis_url")


def database(url: str) -> dict[str, Any]:
    """Django's settings for a postgres:// address. Raises EnvError when it is none."""
    parts = urlsplit(url or _NOWHERE)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise env.EnvError(f"DATABASE_URL must start with postgres://, not {parts.scheme or 'nothing'!r}.")
    name = parts.path.lstrip("/")
    if not name:
        raise env.EnvError("DATABASE_URL must end with the database's name: postgres://user:password@host:port/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(name),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
