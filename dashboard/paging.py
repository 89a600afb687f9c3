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


def page(query: QueryDict, queryset: Any, size: int, of_ids: Callable[[Any], Any] | None = None) -> Page:
    """The page that ?page= names: one query.

    of_ids: makes of the ids of a page what it shows, in the same order: figures are then added up for its rows alone.
    """
    number = parameters.whole(query, "page", 1, 1, _LAST_PAGE)
    start = (number - 1) * size
    if of_ids is None:
        rows = list(queryset[start : start + size + 1])
    else:
        rows = list(of_ids(queryset.values("pk")[start : start + size + 1]))
    return Page(rows[:size], number, len(rows) > size)
