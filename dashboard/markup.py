"""Icons, badges and sort links: the few pieces of markup that every page repeats."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from dashboard.parameters import replaced
from orchestrator.assets import NODE_MODULES

ICONS = NODE_MODULES / "@tabler/icons/icons/outline"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
STATUS_TONES = {
    "running": "green",
    "paused": "yellow",
    "failed": "red",
    "stopped": "secondary",
    "draft": "azure",
    "queued": "azure",
    "done": "green",
    "cancelled": "secondary",
    "warning": "yellow",
    "stale": "yellow",
    "good": "green",
    "broken": "red",
    "error": "red",
    "info": "secondary",
    "on": "green",
    "buy": "green",
    "sell": "red",
}


@cache
def _svg(name: str) -> str:
    """Markup of one outline icon. Raises ValueError for a name that is no file of the icon set."""
    if not _NAME.match(name):
        raise ValueError(f"icon name must be lower-case words joined by hyphens, not {name!r}.")
    try:
        svg = (ICONS / f"{name}.svg").read_text()
    except FileNotFoundError:
        raise ValueError(f"icon {name!r} is not in the icon set; names are those of @tabler/icons (outline).") from None
    svg = _COMMENT.sub("", svg).strip()
    return svg.replace("<svg", '<svg aria-hidden="true" class="icon"', 1)


@cache
def icon(name: str) -> SafeString:
    return mark_safe(_svg(name))  # a file of the pinned icon package


@lru_cache(maxsize=5_000)
def badge(status: str, title: str = "") -> SafeString:
    """A state as a word in a colour, the reason on hover."""
    tone = STATUS_TONES.get(status, "secondary")
    return format_html('<span class="badge bg-{}-lt" title="{}">{}</span>', tone, title, status)


def sort_link(query: QueryDict, current: str, column: str, label: str) -> SafeString:
    """A column heading that sorts by it, and the other way round when it already does."""
    active = current.lstrip("-") == column
    target = column if active and current.startswith("-") else f"-{column}"
    mark = ("↓" if current.startswith("-") else "↑") if active else ""
    return format_html(
        '<a class="sort{}" href="{}">{}<span class="sort-mark">{}</span></a>',
        " active" if active else "",
        replaced(query, sort=target, page=None),
        label,
        mark,
    )
