"""Loads what a fresh process would otherwise load while somebody waits: machine code, in a thread of its own."""

from __future__ import annotations

from threading import Timer

from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import import_string

from orchestrator import garbage

# The first page comes first; who fills in a form takes longer than this.
AFTER_SECONDS = 2.0


def begin(after: float = AFTER_SECONDS) -> Timer:
    """Call settings.WARM_UP in so many seconds. The process may end meanwhile."""
    timer = Timer(after, load)
    timer.name, timer.daemon = "warm-up", True
    timer.start()
    return timer


def load() -> None:
    """Load it now, and the views; what is there then is never garbage."""
    get_resolver().url_patterns  # noqa: B018
    import_string(settings.WARM_UP)()
    garbage.freeze()
