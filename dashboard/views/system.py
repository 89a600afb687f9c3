"""How the platform itself is doing, for staff: what is judged, and the figures behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from dashboard import parameters
from dashboard.system import audit, jobs, tables
from orchestrator.observability import samples

# Name in the address -> hours.
PERIODS = {"1h": 1, "24h": 24, "7d": 168}


@require_GET
@never_cache
def system(request: HttpRequest) -> HttpResponse:
    """Budgets and figures over a period; another user's page is not there."""
    if not getattr(request.user, "is_staff", False):
        raise Http404
    now = timezone.now()
    period = parameters.choice(request.GET, "period", PERIODS, "1h")
    summaries = samples.between(now - timedelta(hours=PERIODS[period]), now)
    broker = jobs.ask()
    context: dict[str, Any] = {
        "nav": "system",
        "periods": list(PERIODS),
        "period": period,
        "checks": audit.checks(summaries, now, broker),
        "tables": tables.all_tables(summaries, now, broker),
    }
    return render(request, "dashboard/system.html", context)
