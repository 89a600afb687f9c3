"""Pages of a long table, without counting it: one row more than shown tells whether there is a next page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from dashboard import parameters

_LAST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    number: int
    has_next: bool

    @property
    def previous(self) -> int:
        return self.number - 1

    @property
    def next(self) -> int:
        return self.number + 1


def page(query: QueryDict, queryset: Any, size: int) -> Page:
    """The page of a queryset that ?page= names: one query."""
    return numbered(query, size, lambda start, stop: list(queryset[start:stop]))


def numbered(query: QueryDict, size: int, read: Callable[[int, int], Sequence[Any]]) -> Page:
    """The page that ?page= names of what `read` tells from one place, counted from 0, to before another."""
    number = parameters.whole(query, "page", 1, 1, _LAST_PAGE)
    start = (number - 1) * size
    rows = read(start, start + size + 1)
    return Page(rows[:size], number, len(rows) > size)
