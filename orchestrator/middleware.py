from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.views.defaults import bad_request

from orchestrator import notify, page_store

# Pages of development tools; they and Django's tracebacks bring inline scripts.
_TOOLS = ("/silk/", "/__debug__/")


def live_url(request: HttpRequest) -> str:
    """Address of the event stream as this visitor's browser reaches it."""
    here = request.build_absolute_uri("/")
    if settings.LIVE_URL:
        return urljoin(here, settings.LIVE_URL)
    parts = urlsplit(here)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{settings.LIVE_PORT}/live/"


def _policy(request: HttpRequest) -> str:
    live = urlsplit(live_url(request))
    # data: is for the small pictures inside the style sheets of the kit and the admin.
    policy = (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; base-uri 'self'; "
        f"form-action 'self'; frame-ancestors 'none'; connect-src 'self' {live.scheme}://{live.netloc}"
    )
    if settings.DEBUG:
        policy = policy.replace("style-src 'self';", "style-src 'self' 'unsafe-inline';")
    return policy


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Nothing runs in a page but this site's own files: no inline script, no other host but the event stream."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_tool = request.path.startswith(_TOOLS) and (settings.DEBUG or settings.SILK_PERCENT)
        if not (is_tool or (settings.DEBUG and response.status_code >= 400)):
            response.headers.setdefault("Content-Security-Policy", _policy(request))
        return response

    return middleware


def written(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Who changes something is shown no page from before: not from the store in front of Django, nor from a proxy.

    For a proxy there is a cookie that changes, too. What ends a session (logging out, a new password) is a change.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            page_store.drop(_changed_for(request))
            response.set_cookie(
                "written",
                secrets.token_hex(8),
                max_age=86_400,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    return middleware


def known_secret(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A browser is not sent the CSRF secret that it has: Django sends it with every page, and caches keep no cookies.

    It lasts a year from the log-in, which no session does.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        sent = response.cookies.get(settings.CSRF_COOKIE_NAME)
        if sent is not None and sent.value == request.COOKIES.get(settings.CSRF_COOKIE_NAME):
            del response.cookies[settings.CSRF_COOKIE_NAME]
        return response

    return middleware


def _changed_for(request: HttpRequest) -> list[str]:
    """What an administrator changes may be anybody's: accounts, permissions, what there is to trade."""
    if request.path.startswith("/admin/"):
        return [page_store.EVERYBODY]
    asked = getattr(request, "_cached_user", None)  # even if logged out by now
    # Of a token, or who has just logged in; one that nobody has looked for is not looked for now.
    set_since = None if isinstance(request.__dict__.get("user"), SimpleLazyObject) else request.__dict__.get("user")
    return [notify.user_topic(user.pk) for user in (asked, set_since) if user is not None and user.pk]


def no_null_bytes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A NUL in a path or a session is a bad request, in the admin in the query too: its filters ask PostgreSQL with it.

    Answered here: raised, it would be a traceback in the log for everybody who asks.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = request.META.get("QUERY_STRING", "") if request.path.startswith("/admin/") else ""
        # As an octal escape it gets through in a cookie, and this one is asked for in PostgreSQL.
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if "\0" in request.path or "%00" in asked or "\0" in session:
            return bad_request(request, BadRequest("The address or the session holds a NUL byte."))
        return get_response(request)

    return middleware
