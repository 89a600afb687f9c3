"""What forms say of what was typed, in our words where Django has its own: the field, its bound, and the value."""

from __future__ import annotations

from collections.abc import Iterable


def sentences(called: str, **own: str) -> dict[str, str]:
    """Of one field, by the codes of Django's checks; own: those that are about what this one takes."""
    return {
        "required": f"{called} is needed.",
        "max_length": f"{called} must be at most %(limit_value)d characters long, not %(show_value)d.",
        "null_characters_not_allowed": f"{called} must be text without NUL characters.",
    } | own


def one_of(called: str, names: Iterable[str], **own: str) -> dict[str, str]:
    """Of a field that takes some names alone."""
    return sentences(called, invalid_choice=f"{called} must be one of {', '.join(names)}, not '%(value)s'.", **own)
