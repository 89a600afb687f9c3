from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard import parameters
from dashboard.search import places
from dashboard.views.fragments import varies, wants_fragment


@require_GET
@varies
def search(request: HttpRequest) -> HttpResponse:
    """Pages, the visitor's own bots and markets by ?q=; as a fragment it is what Ctrl-K opens."""
    words = parameters.text(request.GET, "q")
    template = "dashboard/_search.html" if wants_fragment(request) else "dashboard/search.html"
    return render(request, template, {"nav": "search", "q": words, "groups": places(request.user, words)})
