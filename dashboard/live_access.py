"""Who may listen to the event stream, and to what: read off a request's headers and query."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http.request import validate_host

MOST_TOPICS = 100
LONGEST_TOPIC = 60
Headers = Mapping[bytes, bytes]  # names in lower case


def allowed_origin(headers: Headers) -> str | None:
    """The Origin if it is this site's: this host on the web's port, or one that the settings trust; else None.

    A stream that a proxy serves under the site's own address is told by Sec-Fetch-Site: browsers leave Origin out.
    """
    host = _host(headers)
    if not validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return None
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return "same-origin" if headers.get(b"sec-fetch-site") == b"same-origin" else None
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return origin
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return origin if parts.hostname == host and port == settings.PORT else None


def _host(headers: Headers) -> str:
    """Without its port; "" where it is none."""
    try:
        return urlsplit("//" + headers.get(b"host", b"").decode("latin-1")).hostname or ""
    except ValueError:
        return ""


def session_key(headers: Headers) -> str:
    cookies = SimpleCookie()
    with contextlib.suppress(CookieError):  # a broken cookie is no session
        cookies.load(headers.get(b"cookie", b"").decode("latin-1"))
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    key = morsel.value if morsel else ""
    return "" if "\0" in key else key  # an octal escape brings it through, and PostgreSQL refuses to be asked so


def wanted_topics(query: bytes) -> list[str]:
    words = " ".join(parse_qs(query.decode("latin-1")).get("topics", [])).split()
    return [word for word in words if len(word) <= LONGEST_TOPIC][:MOST_TOPICS]
