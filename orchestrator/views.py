from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from orchestrator import cache
from orchestrator.cache import report

HOT_KEYS = 30


@require_http_methods(["GET", "HEAD", "POST"])
def cache_page(request: HttpRequest) -> HttpResponse:
    """How the cache is doing, for staff; a POST drops what the policy of that name holds."""
    if request.method == "POST":
        return _drop(request)
    found = report.report(cache.of_this_process())
    chosen = cache.POLICIES.get(request.GET.get("policy", ""))
    context = {
        **admin.site.each_context(request),
        "title": "Cache",
        "columns": report.COLUMNS,
        "lines": [(line.policy, report.cells(line)) for line in found.lines],
        "report": found,
        "chosen": chosen,
        "keys": report.hot_keys(cache.of_this_process(), chosen, HOT_KEYS) if chosen and found.lines else {},
    }
    return render(request, "admin/cache.html", context)


def _drop(request: HttpRequest) -> HttpResponse:
    try:
        policy = cache.policy(request.POST.get("policy", ""))
        cache.drop(policy)
    except ValueError as error:
        messages.error(request, str(error))
    except cache.Unreachable:
        messages.error(request, f"Redis does not answer: {policy.name} is dropped in this process alone.")
    else:
        messages.success(request, f"Dropped: {policy.name}.")
    return HttpResponseRedirect(reverse("cache"))
