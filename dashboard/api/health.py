from __future__ import annotations

import logging
from typing import Any, Literal

from django.db import DatabaseError, connection
from django.http import HttpRequest
from django_redis import get_redis_connection
from ninja import Router, Status
from redis.exceptions import RedisError

from dashboard.api.schema import Row

log = logging.getLogger(__name__)
router = Router(tags=["Health"])


class Health(Row):
    """degraded: pages work, but without cache, queue and limits; down: without the database nothing does."""

    status: Literal["ok", "degraded", "down"]
    database: bool
    redis: bool


@router.get("", response={200: Health, 503: Health}, summary="Whether it works; needs no login")
def health(request: HttpRequest) -> Any:
    database, redis = _database(), _redis()
    status = "down" if not database else "ok" if redis else "degraded"
    return Status(200 if database else 503, {"status": status, "database": database, "redis": redis})


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("health: the database does not answer: %s", error)
        return False
    return True


def _redis() -> bool:
    try:
        return bool(get_redis_connection("default").ping())
    except RedisError as error:
        log.warning("health: Redis does not answer: %s", error)
        return False
