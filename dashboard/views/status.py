"""What machines ask: is it alive, is it ready, what does it count."""

from __future__ import annotations

import secrets

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboard import readiness, state_metrics
from orchestrator import env
from orchestrator.observability.metrics import registry


@login_not_required
@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked, so that a database that is down restarts no web server."""
    return HttpResponse("alive\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Every part with what it says; 503 when one is missing that no page can do without."""
    status, parts = readiness.told()
    return JsonResponse({"status": status, "parts": parts}, status=503 if status == "unavailable" else 200)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything that is counted, as Prometheus reads it: for staff, and for whoever bears METRICS_TOKEN."""
    if not (_bears_token(request) or (request.user.is_authenticated and getattr(request.user, "is_staff", False))):
        raise Http404
    found = registry()
    found.register(state_metrics.State())
    return HttpResponse(generate_latest(found), content_type=CONTENT_TYPE_LATEST)


def _bears_token(request: HttpRequest) -> bool:
    token = env.text("METRICS_TOKEN")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and secrets.compare_digest(given.encode(), token.encode())
