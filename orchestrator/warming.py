"""Loads what a fresh process would otherwise load while somebody waits: machine code, in a thread of its own."""

from __future__ import annotations

from threading import Timer

from django.conf import settings
from django.utils.module_loading import import_string

# The first page comes first; who fills in a form takes longer than this.
AFTER_SECONDS = 2.0


def begin(after: float = AFTER_SECONDS) -> Timer:
    """Call settings.WARM_UP in so many seconds. The process may end meanwhile."""
    timer = Timer(after, _load)
    timer.name, timer.daemon = "warm-up", True
    timer.start()
    return timer


def _load() -> None:
    import_string(settings.WARM_UP)()
