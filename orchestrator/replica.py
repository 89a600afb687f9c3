"""Pages read from a replica, and yet nobody misses what they have just written.

After each request that may have written, the place in the primary's log is kept for the user, unless a later one is:
of two that write at once, the one that began to ask first may be the last to tell. The next ones of that user go to the
replica once it has replayed that far, and to the primary until then. While a request that may write is at work, all of
that user's read from the primary: the event stream tells of a change as soon as it is committed, before its request has
ended. Where nothing is kept (the first request, a cache that was emptied) the primary's place is taken now: then the
replica is used a moment later, but never too early. Workers, commands and all that changes something read and write the
primary alone.

The places are kept in Redis itself, as the cache answers from memory while Redis is down. A write made at such a moment
is not kept: until Redis is back all read from the primary, and from then on it may show as late as the replica is.
"""

from __future__ import annotations

import logging
import secrets
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
WRITING_SECONDS = 120  # longer than a request may take; one that was killed holds the user to the primary for so long
# Places are bytes of the log since its beginning: a number up to 2**53 is exact in a script.
_HERE = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
_REPLAYED = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') >= %s"
_KEEP_LATER = """
local kept = redis.call('get', KEYS[1])
if not kept or tonumber(kept) < tonumber(ARGV[1]) then redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""
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
            begins(request)
            try:
                return get_response(request)
            finally:
                _ends(request, user if user is not None else request.user.pk)  # who has just logged in
        token = _reading.set(REPLICA if user is not None and _has_caught_up(user) else PRIMARY)
        try:
            return get_response(request)
        finally:
            _reading.reset(token)

    return middleware


@cache
def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS)


def begins(request: HttpRequest) -> None:
    """Keep in mind that the user of a request may be writing; told again once a token has said who that is."""
    user = request.user.pk
    if user is None or request.method in SAFE or REPLICA not in connections.databases:
        return
    mark = secrets.token_hex(8)
    request.replica_mark = mark  # type: ignore[attr-defined]
    try:
        with _redis().pipeline() as pipe:
            pipe.sadd(_writing(user), mark)
            pipe.expire(_writing(user), WRITING_SECONDS)
            pipe.execute()
    except (RedisError, OSError):
        log.warning("that user %s is writing cannot be kept in mind: Redis does not answer", user)


def _place(user: int) -> str:
    return f"replica:place:{user}"


def _writing(user: int) -> str:
    return f"replica:writing:{user}"


def _ends(request: HttpRequest, user: int | None) -> None:
    """Keep the place of what a request has written."""
    if user is None:
        return
    try:
        _redis().eval(_KEEP_LATER, 1, _place(user), _primary_place(), KEPT_SECONDS)
        _redis().srem(_writing(user), getattr(request, "replica_mark", ""))
    except DatabaseError:  # what was written is written; the mark that stays holds the user to the primary
        log.warning("what user %s has written cannot be kept in mind: the primary does not answer", user)
    except (RedisError, OSError):
        log.warning("what user %s has written cannot be kept in mind: Redis does not answer", user)


def _has_caught_up(user: int) -> bool:
    """Whether the replica holds all that the user has written; False when that cannot be told."""
    try:
        with _redis().pipeline() as pipe:
            pipe.get(_place(user))
            pipe.exists(_writing(user))
            kept, is_writing = pipe.execute()
        if is_writing:
            return False
        place = int(kept) if kept else _primary_place()
        if not kept:
            _redis().eval(_KEEP_LATER, 1, _place(user), place, KEPT_SECONDS)
        return _asked(REPLICA, _REPLAYED, place) is True
    except (RedisError, OSError, DatabaseError):
        return False


def _primary_place() -> int:
    return int(_asked(PRIMARY, _HERE))


def _asked(alias: str, query: str, *parameters: int) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()[0]
