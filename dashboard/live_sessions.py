from __future__ import annotations

import asyncio
from importlib import import_module

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest


def session_user(key: str) -> int | None:
    """Id of the active user that a session belongs to; None when it ended, or its password was changed since."""
    close_old_connections()
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return user.pk if user.is_active else None


class Sessions:
    """Whose sessions are asked for: many pages of one browser that come back at once share the look that is under way.

    After a restart all pages come at once, and each look is two queries in the one thread that may make them.
    """

    def __init__(self) -> None:
        self._looks: dict[str, asyncio.Task[int | None]] = {}

    async def user(self, key: str) -> int | None:
        """As session_user(). Raises DatabaseError."""
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = asyncio.create_task(sync_to_async(session_user)(key))
            look.add_done_callback(lambda _: self._looks.pop(key))
        # One page that is closed meanwhile does not end the look of the others.
        return await asyncio.shield(look)

    async def finish(self, seconds: float) -> None:
        """Wait, so long at most, for the looks that are under way."""
        if self._looks:
            await asyncio.wait(self._looks.values(), timeout=seconds)
