"""What makes the site an app that a browser installs: its manifest, its service worker, a page for when it is away."""

from __future__ import annotations

import hashlib
import json

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

# What the page for when the site is away is made of; nothing that belongs to anybody is kept in a browser.
OFFLINE_ASSETS = ("vendor/tabler.min.css", "app.css", "js/theme.js")


@login_not_required
@cache_control(public=True, max_age=3600)
@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    icons = [
        {"src": static(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
        for size in (192, 512)
        for purpose in ("any", "maskable")
    ]
    about = {
        "name": "Orchestrator",
        "short_name": "Orchestrator",
        "description": "Trading bots: what they do, hold and earn.",
        "id": "/",
        "start_url": reverse("overview"),
        "scope": "/",
        "display": "standalone",
        "background_color": "#0e141c",
        "theme_color": "#0e141c",
        "icons": [*icons, {"src": static("favicon.svg"), "sizes": "any", "type": "image/svg+xml"}],
        "shortcuts": [{"name": name.capitalize(), "url": reverse(name)} for name in ("bots", "positions", "activity")],
    }
    return JsonResponse(about, content_type="application/manifest+json")


@login_not_required
@cache_control(no_cache=True)
@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """Asked for anew at every visit: another release has other names, and its worker takes over."""
    kept = [reverse("offline"), *(static(name) for name in OFFLINE_ASSETS)]
    page = render_to_string("offline.html", request=None)
    release = hashlib.sha256(json.dumps([kept, page]).encode()).hexdigest()[:16]
    values = {"kept": json.dumps(kept), "name": f"offline-{release}", "offline": kept[0]}
    return render(request, "service-worker.js", values, content_type="text/javascript")


@login_not_required
@cache_control(public=True, max_age=3600)
@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """Shown in place of any page while the site cannot be reached; the same for everybody."""
    return HttpResponse(render_to_string("offline.html", request=None))
