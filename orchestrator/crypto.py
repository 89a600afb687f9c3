"""Secrets at rest: sealed with keys that follow from SECRET_KEY, so that a copy of the database alone opens nothing.

What is sealed for one purpose does not open for another. After SECRET_KEY changed, what was sealed before opens as long
as the old key is among SECRET_KEY_FALLBACKS; seal_anew() brings it under the new one.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(Exception):
    """No key that this installation has opens it: SECRET_KEY was changed, or the text damaged."""


def seal(secret: str, purpose: str) -> str:
    return _lock(purpose).encrypt(secret.encode()).decode()


def unseal(sealed: str, purpose: str) -> str:
    """The secret. Raises Unreadable."""
    try:
        return _lock(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def seal_anew(sealed: str, purpose: str) -> str:
    """The same secret under the newest key. Raises Unreadable."""
    try:
        return _lock(purpose).rotate(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def _lock(purpose: str) -> MultiFernet:
    return _made(purpose, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=16)
def _made(purpose: str, secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_key(secret, purpose)) for secret in secrets])


def _key(secret: str, purpose: str) -> bytes:
    """RFC 5869: SECRET_KEY is long and random, so it needs no slow derivation."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"orchestrator " + purpose.encode())
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
