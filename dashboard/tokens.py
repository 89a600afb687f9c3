"""API tokens: making, revoking, recognising. What is kept of one is its digest, so a stolen database opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from bots.models import Event
from dashboard.models import ApiToken

PREFIX = "orc_"  # so that scanners for secrets recognise one
_BYTES = 32
_USED_EVERY = timedelta(minutes=1)


def create(owner: Any, name: str, scope: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """A new token and its text, which nobody can be told again. Raises IntegrityError for a name that is taken."""
    text = PREFIX + secrets.token_urlsafe(_BYTES)
    with transaction.atomic():
        token = ApiToken.objects.create(
            owner=owner, name=name, scope=scope, digest=_digest(text), expires_at=expires_at
        )
        _say(token, "token_created", f"API token {name} created: it may {token.get_scope_display().lower()}.")
    return token, text


def revoke(token: ApiToken) -> None:
    """Delete a token; the next request with it is refused. Of two who do it at once, one is told of."""
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk).delete()[0]:
            _say(token, "token_revoked", f"API token {token.name} revoked.")


def find(text: str, now: datetime) -> ApiToken | None:
    """The token with its owner selected, None when it is unknown, expired or of a user who may not log in.

    A plain digest is enough: 256 random bits cannot be guessed, and the index sees only what was hashed.
    """
    usable = Q(expires_at=None) | Q(expires_at__gt=now)
    token = ApiToken.objects.select_related("owner").filter(usable, digest=_digest(text), owner__is_active=True).first()
    if token is not None:
        _used(token, now)
    return token


def _used(token: ApiToken, now: datetime) -> None:
    """To the minute: a script that asks ten times a second is no reason for ten writes."""
    if token.used_at is None or now - token.used_at >= _USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _say(token: ApiToken, code: str, message: str) -> None:
    Event.objects.create(owner_id=token.owner_id, code=code, message=message, time=timezone.now())
