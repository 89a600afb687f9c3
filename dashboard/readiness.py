"""Whether the parts that pages and bots need are there: asked by load balancers and by people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg
from celery import current_app
from django.db import DatabaseError, connection
from django.utils import timezone

from markets.models import Feed
from orchestrator import broker, cache


class Part(NamedTuple):
    """One part: whether it works, in a word or sentence what it says, and whether pages are of use without it."""

    name: str
    ok: bool
    says: str
    needed: bool


DATABASE_SECONDS = 2  # the least that libpq and psycopg wait
_UNKNOWN = Part("feeds", False, "unknown without the database", needed=False)


def parts() -> list[Part]:
    """Each part asked now; none waits for longer than some seconds, none raises."""
    database = _asked("database", True, ask_database, psycopg.Error)
    return [
        database,
        _asked("broker", True, _broker, *broker.UNREACHABLE),
        _asked("cache", False, _cache, cache.Unreachable),
        _asked("feeds", False, _feeds, DatabaseError, LateFeeds) if database.ok else _UNKNOWN,
    ]


def told() -> tuple[str, dict[str, Any]]:
    """All in one word (ready, degraded, unavailable), and name -> ok and says of each part."""
    found = parts()
    usable = all(part.ok for part in found if part.needed)
    status = "ready" if all(part.ok for part in found) else "degraded" if usable else "unavailable"
    return status, {part.name: {"ok": part.ok, "says": part.says} for part in found}


class LateFeeds(Exception):
    """Candles are missing."""


def _asked(name: str, needed: bool, ask: Callable[[], str], *faults: type[Exception]) -> Part:
    try:
        return Part(name, True, ask(), needed)
    except LateFeeds as late:
        return Part(name, False, str(late), needed)
    except faults as fault:
        # The text of a fault may name hosts and users: its kind is enough for a stranger.
        return Part(name, False, f"does not answer ({type(fault).__name__})", needed)


def ask_database() -> str:
    """What it says, over a new connection: an open one would wait for a server that hangs. Raises psycopg.Error."""
    patience = {"connect_timeout": DATABASE_SECONDS, "tcp_user_timeout": 1000 * DATABASE_SECONDS}
    psycopg.connect(**{**connection.get_connection_params(), **patience}).close()
    return "answers"


def _broker() -> str:
    with current_app.connection_for_write() as link:
        # One try and no second: its time is over when the first one has failed.
        link.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    return "answers"


def _cache() -> str:
    cache.ping()
    return "answers"


def _feeds() -> str:
    now = timezone.now()
    feeds = list(Feed.objects.alive().only("timeframe", "synced_to", "error"))
    behind = [feed for feed in feeds if feed.late(now) or feed.error]
    if behind:
        raise LateFeeds(f"{len(behind)} of {len(feeds)} are late or failing")
    return f"{len(feeds)} up to date"
