"""Pages that are kept: answered with 304 where the browser has them, and from the cache where anybody rendered them.

A page is kept for one session of one user, so that after a log-out or a new password it is out of reach, and by all
that it shows: its address, page or fragment, host, who the user is, and its version (dashboard/page_versions.py). It
holds no CSRF token: where one stands, each answer gets one of its own, masked anew.

What is answered so may be answered again for a moment, to the same browser, without asking Django at all
(orchestrator/page_store.py).
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.messages import get_messages
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.crypto import salted_hmac

from dashboard import page_versions
from dashboard.views.currency import preferred
from dashboard.views.fragments import View, wants_fragment
from orchestrator import cache, notify
from orchestrator.page_store import Keepable

SUBJECTS = ("bot_id", "market_id")


class _Place(NamedTuple):
    """key: whose page, which; version: digest of what it follows from; etag: of both and the browser's CSRF secret.

    keepable: what the store in front of Django is told.
    """

    key: str
    version: str
    etag: str
    keepable: Keepable


def token_place(request: HttpRequest) -> dict[str, str]:
    """Context processor: a page that is kept has a mark where the CSRF token belongs."""
    mark: str | None = getattr(request, "token_mark", None)
    return {} if mark is None else {"csrf_token": mark}


def kept(page: str = "") -> Callable[[View], View]:
    """A view whose pages are kept; `page` names its version, or the address does with `name`.

    What has a message to show is rendered, and not kept.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if settings.DEBUG or len(get_messages(request)):
                return view(request, *args, **kwargs)
            place = _place(request, page or kwargs["name"], _subject(kwargs))
            known = get_conditional_response(request, etag=place.etag)
            if known is not None:
                known.headers["ETag"] = place.etag
                return _marked(known, place)
            return _answer(request, place, lambda: view(request, *args, **kwargs))

        return wrapped

    return decorated


def _subject(kwargs: dict[str, Any]) -> int | None:
    return next((kwargs[name] for name in SUBJECTS if name in kwargs), None)


def _place(request: HttpRequest, page: str, subject: int | None) -> _Place:
    user: Any = request.user
    # Made now if the browser has none: a page without its cookie could send no form.
    get_token(request)
    found = page_versions.version(page, user.pk, subject, timezone.now())
    rank = (user.get_username(), user.is_staff, user.is_superuser)
    version = _digest(found.marks, rank, getattr(staticfiles_storage, "manifest_hash", ""))
    shape = "fragment" if wants_fragment(request) else "page"
    shown_first = preferred(request)
    key = _digest(user.pk, request.session.session_key, shape, shown_first, request.build_absolute_uri())
    secret = salted_hmac("dashboard.views.kept", request.META["CSRF_COOKIE"]).hexdigest()
    keepable = Keepable(request.resolver_match.view_name, _topics(page, user.pk, found.market))  # type: ignore[union-attr]
    return _Place(f"{user.pk}:{key}", version, f'W/"{_digest(key, version, secret)}"', keepable)


def _topics(page: str, user: int, market: int | None) -> tuple[str, ...]:
    """All that the page may be fetched for by the event stream."""
    if page == "markets":
        return (notify.user_topic(user), notify.MARKETS)
    return (notify.user_topic(user), *([notify.market_topic(market)] if market else []))


def _marked(response: HttpResponse, place: _Place) -> HttpResponse:
    response.keepable = place.keepable  # type: ignore[attr-defined]
    return response


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _answer(request: HttpRequest, place: _Place, render: Callable[[], HttpResponse]) -> HttpResponse:
    """From the cache, or rendered and kept when it is a page: another answer is for this request alone."""
    own: list[HttpResponse] = []

    def compute(keys: list[str]) -> dict[str, tuple[str, str, bytes]]:
        mark = f"token-{secrets.token_hex(16)}"
        request.token_mark = mark  # type: ignore[attr-defined]
        own.append(render())
        return {place.key: _packed(mark, own[0])} if _may_be_kept(own[0]) else {}

    found = cache.fetch_many(cache.PAGES, {place.key: place.version}, compute)
    if place.key not in found:
        # Not this thread's, it may have been another's that came to nothing.
        request.token_mark = None  # type: ignore[attr-defined]
        return render()
    mark, content_type, packed = found[place.key]
    content = zlib.decompress(packed).replace(mark.encode(), get_token(request).encode())
    return _marked(HttpResponse(content, content_type=content_type, headers={"ETag": place.etag}), place)


def _may_be_kept(response: HttpResponse) -> bool:
    return response.status_code == 200 and not response.streaming and not response.cookies


def _packed(mark: str, response: HttpResponse) -> tuple[str, str, bytes]:
    # Level 1 makes a tenth of a page in a millisecond, and is undone in a fifth of that.
    return mark, response.headers["Content-Type"], zlib.compress(response.content, 1)
