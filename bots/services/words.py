"""What the sentences of several services share."""

from __future__ import annotations


def by_whom(name: str) -> str:
    return f" by {name}" if name else ""
