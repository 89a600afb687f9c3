"""Who asks: a token in the Authorization header, or the session of a page, which needs the CSRF token for changes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja.errors import AuthenticationError, AuthorizationError
from ninja.security import HttpBearer, SessionAuth

from dashboard import tokens
from dashboard.api import rates
from dashboard.models import ApiToken
from orchestrator import replica


class Bearer(HttpBearer):
    """A token. trade: whether it must be one that may change things."""

    def __init__(self, trade: bool = False) -> None:
        super().__init__()
        self.trade = trade

    def __call__(self, request: HttpRequest) -> Any:
        if getattr(request, "admitted", False):
            # Of a batch, which was asked and counted as a whole.
            return request.user
        if request.headers.get("Authorization") is None:
            return None
        # A header that cannot be used is refused, whatever session the browser has.
        found = super().__call__(request)
        if found is None:
            raise AuthenticationError(401, "The Authorization header must be Bearer and a token that is valid.")
        return found

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        found = tokens.find(token, timezone.now())
        if found is None:
            return None
        request.user = found.owner
        replica.begins(request)
        if self.trade and found.scope != ApiToken.Scope.TRADE:
            raise AuthorizationError(403, f"token {found.name} may read; a change needs one that may trade.")
        _count(request, self.trade)
        return found.owner


class Session(SessionAuth):
    """The session of somebody who is logged in."""

    def __init__(self, trade: bool = False) -> None:
        super().__init__()
        self.trade = trade

    def __call__(self, request: HttpRequest) -> Any:
        if not request.user.is_authenticated:
            raise AuthenticationError(401, "Send a token as Authorization: Bearer, or log in.")
        found = super().__call__(request)
        _count(request, self.trade)
        return found


def owner(request: HttpRequest) -> Any:
    """Who asks; their rows are the ones there are."""
    return request.user


def _count(request: HttpRequest, trade: bool) -> None:
    rates.take(request, "writes" if trade else "reads", f"user {request.user.pk}")


READ = [Bearer(), Session()]
TRADE = [Bearer(trade=True), Session(trade=True)]
