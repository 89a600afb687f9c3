from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

View = Callable[..., HttpResponse]


def wants_fragment(request: HttpRequest) -> bool:
    """Whether only the live part is asked for; a page restored from history needs the whole."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"


def varies(view: View) -> View:
    """Page and fragment share an address: tell caches that they differ, and keep both out of shared ones."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    return wrapped
