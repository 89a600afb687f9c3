"""Which requests django-silk records."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:  # the settings name this module, and who only reads them needs no pages
    from django.http import HttpRequest


def is_recorded(request: HttpRequest) -> bool:
    """A share of what staff ask for: to record a request makes it several times as slow."""
    user = getattr(request, "user", None)
    return bool(user and user.is_staff) and random.uniform(0, 100) < settings.SILK_PERCENT
