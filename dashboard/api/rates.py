"""How often one person may ask, counted in Redis: the count is one script there, so no two requests share a place."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_redis import get_redis_connection
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from ninja.errors import HttpError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """How one request stands. reset: seconds until more are left."""

    most: int
    left: int
    reset: int


class TooManyRequests(HttpError):
    def __init__(self, what: str, rate: Rate) -> None:
        super().__init__(429, f"{what} must be at most {rate.most} a minute; more are left in {rate.reset} s.")
        self.headers = {"Retry-After": str(rate.reset)}


@cache
def _limiter() -> SlidingWindowCounterRateLimiter:
    pool = get_redis_connection("default").connection_pool
    return SlidingWindowCounterRateLimiter(RedisStorage(settings.REDIS_URL, pool, key_prefix="orchestrator:rate"))


def take(request: HttpRequest, what: str, who: str, cost: int = 1) -> None:
    """Count a request (as `cost` of them). what: "reads" or "writes". Raises TooManyRequests.

    While Redis is away nothing is counted: the limits keep a script from taking the machine, not strangers out.
    """
    most = settings.API_READS_PER_MINUTE if what == "reads" else settings.API_WRITES_PER_MINUTE
    item = RateLimitItemPerMinute(most)
    try:
        allowed = _limiter().hit(item, what, who, cost=cost)
        reset, left = _limiter().get_window_stats(item, what, who)
    except RedisError as error:
        log.warning("API requests are not counted: %s", error)
        return
    rate = Rate(most, left, min(max(math.ceil(reset - time.time()), 1), SECONDS))
    request.rate = rate  # type: ignore[attr-defined]
    if not allowed:
        raise TooManyRequests(what, rate)


def tell(request: HttpRequest, response: HttpResponse) -> None:
    """The usual headers (draft-ietf-httpapi-ratelimit-headers-06), where the request was counted."""
    rate: Rate | None = getattr(request, "rate", None)
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.most)
        response.headers["RateLimit-Remaining"] = str(rate.left)
        response.headers["RateLimit-Reset"] = str(rate.reset)
        response.headers["RateLimit-Policy"] = f"{rate.most};w={SECONDS}"
