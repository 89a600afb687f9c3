"""The middleware that measures requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from orchestrator.models import Finding
from orchestrator.observability.findings import Place, report
from orchestrator.observability.metrics import CACHE_READS, POOL, REQUEST_QUERIES, REQUESTS
from orchestrator.observability.tally import Tally, tallied

SLOW_SECONDS = 0.5
# Whoever asks these wants to be told of a database that hangs, and not to wait until it has stored how slow that was.
PROBES = {"health", "ready", "metrics", "api:health"}
NO_VIEW = "(none)"
# Any other word may come from outside, and every label is kept for ever.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
POOL_FIGURES = ("pool_size", "pool_available", "requests_waiting", "requests_num", "requests_queued", "requests_errors")


def measured(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Count every request: time, queries, connections; keep what was slow; tell staff in Server-Timing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        with tallied() as tally:
            response = get_response(request)
        seconds = time.perf_counter() - began
        _count(request, response, tally, seconds)
        user = _known_user(request)
        if user is not None and user.is_staff:
            response.headers["Server-Timing"] = _timing(tally, seconds)
        bound = math.inf if _view(request) in PROBES else SLOW_SECONDS
        report(_place(request, user), tally, seconds, bound, Finding.Kind.SLOW_REQUEST)
        return response

    return middleware


def _timing(tally: Tally, seconds: float) -> str:
    total, database = f"total;dur={1000 * seconds:.1f}", f"db;dur={1000 * tally.seconds:.1f}"
    asked, hits = tally.cache_reads
    return f'{total}, {database};desc="{tally.queries} queries", cache;desc="{hits} of {asked} there"'


def _known_user(request: HttpRequest) -> Any:
    """The user, if the view asked for one: to know costs no query then. Whoever came with a token is set as such."""
    told = request.__dict__.get("user")
    known = (None if isinstance(told, SimpleLazyObject) else told, getattr(request, "_cached_user", None))
    return next((user for user in known if user is not None and user.pk), None)


def _count(request: HttpRequest, response: HttpResponse, tally: Tally, seconds: float) -> None:
    view = _view(request)
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(view, method, response.status_code).observe(seconds)
    REQUEST_QUERIES.labels(view).observe(tally.queries)
    for (policy, outcome), keys in tally.cache.items():
        CACHE_READS.labels(policy, outcome).inc(keys)
    pool = getattr(connection, "pool", None) if connection.vendor == "postgresql" else None
    if pool:
        figures = pool.get_stats()
        for name in POOL_FIGURES:
            POOL.labels(name).set(figures.get(name, 0))


def _view(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.view_name or NO_VIEW) if match else NO_VIEW


def _place(request: HttpRequest, user: Any) -> Place:
    match = request.resolver_match
    bot = match.kwargs.get("bot_id") if match else None
    return Place(_view(request), request.path, getattr(user, "pk", None), bot if isinstance(bot, int) else None)
