"""What people type into addresses. Readers ignore or clamp what they cannot use: no address is an error."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from django.http import QueryDict

# 2^53: beyond it JavaScript itself cannot count milliseconds.
_LARGEST = 2**53


def whole(query: QueryDict, name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number clamped to the bounds; the default when it is none."""
    text = query.get(name, "")
    # isdecimal accepts other scripts' digits, which int reads as well; 20 digits keep int() cheap.
    if not text.isdecimal() or len(text) > 20:
        return default
    return min(max(int(text), lowest), highest)


def moment(query: QueryDict, name: str) -> int | None:
    """A time in ms UTC, or None."""
    found = whole(query, name, -1, 0, _LARGEST)
    return None if found < 0 else found


def stretch(query: QueryDict) -> tuple[float | None, float | None]:
    """?from= and ?to= ms UTC as seconds; None for what is not said."""
    begin, end = moment(query, "from"), moment(query, "to")
    return begin if begin is None else begin / 1000, end if end is None else end / 1000


def choice(query: QueryDict, name: str, choices: Collection[str], default: str) -> str:
    found = query.get(name, default)
    return found if found in choices else default


def text(query: QueryDict, name: str, longest: int = 60) -> str:
    """Trimmed text without the NUL byte, which PostgreSQL refuses."""
    return query.get(name, "").replace("\0", "").strip()[:longest]


def replaced(query: QueryDict, **values: object) -> str:
    """The query string with some parameters replaced; "" or None removes one."""
    copy = query.copy()
    for name, value in values.items():
        if value in (None, ""):
            copy.pop(name, None)
        else:
            copy[name] = str(value)
    encoded = copy.urlencode()
    return f"?{encoded}" if encoded else "?"


def time(query: QueryDict, name: str) -> datetime | None:
    """A date or a time such as 2026-11-20T10:00, in UTC unless it says another zone; None for what is none."""
    try:
        found = datetime.fromisoformat(text(query, name, 40))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
