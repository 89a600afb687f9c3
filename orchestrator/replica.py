"""Pages read from a replica, and yet nobody misses what they have just written.

After each request that may have written, the place in the primary's log is kept for the user. The next ones of that
user go to the replica once it has replayed that far, and to the primary until then. Where nothing is kept (the first
request, a cache that was emptied) the primary's place is taken now: then the replica is used a moment later, but never
too early. Workers, commands and all that changes something read and write the primary alone.

The places are kept in Redis itself, as the cache answers from memory while Redis is down. A write made at such a moment
is not kept: until Redis is back all read from the primary, and from then on it may show as late as the replica is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from redis import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PRIMARY, REPLICA = "default", "replica"
SAFE = {"GET", "HEAD", "OPTIONS"}
KEPT_SECONDS = 86_400
WAIT_SECONDS = 0.25
_reading: ContextVar[str] = ContextVar("reading", default=PRIMARY)


class Router:
    """Django's database router: reads go where the request may read, everything else to the primary."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return _reading.get()

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return PRIMARY

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == PRIMARY


def reads_from_replica(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Choose where each request reads; after the middleware that knows the user."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user.pk
        if request.method not in SAFE:
            response = get_response(request)
            _remember(user if user is not None else request.user.pk)  # who has just logged in
            return response
        token = _reading.set(REPLICA if user is not None and _has_caught_up(user) else PRIMARY)
        try:
            return get_response(request)
        finally:
            _reading.reset(token)

    return middleware


@cache
def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS)


def _key(user: int) -> str:
    return f"replica:{user}"


def _remember(user: int | None) -> None:
    if user is None:
        return
    try:
        _redis().set(_key(user), _primary_place(), ex=KEPT_SECONDS)
    except (RedisError, OSError):
        log.warning("what user %s has written cannot be kept in mind: Redis does not answer", user)


def _has_caught_up(user: int) -> bool:
    """Whether the replica holds all that the user has written; False when that cannot be told."""
    try:
        kept: Any = _redis().get(_key(user))
        place = kept.decode() if kept else _primary_place()
        if not kept:
            _redis().set(_key(user), place, ex=KEPT_SECONDS, nx=True)
        return _asked(REPLICA, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place) is True
    except (RedisError, OSError, DatabaseError):
        return False


def _primary_place() -> str:
    return str(_asked(PRIMARY, "SELECT pg_current_wal_insert_lsn()::text"))


def _asked(alias: str, query: str, *parameters: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()[0]
