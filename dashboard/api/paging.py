"""Pages of a list: by number, for people, and by cursor, as fast at the millionth row as at the first.

Counting a million rows takes longer than reading a page, so nothing counts them: of what is counted elsewhere already
the total is asked there (a run knows its trades), and of the rest no more than MOST_COUNTED rows are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.http import Http404

from bots.kinds.parameters import ParamsError
from dashboard.api.schema import Paged
from dashboard.keyset import Key, Listing

MOST_COUNTED = 10_000
# Rows before a numbered page: an index is walked over all of them.
DEEPEST = 100_000


@dataclass(frozen=True, eq=False, slots=True)
class Shown:
    """What an answer shows of a row. columns: name in the answer -> column; those of a listing's key keep their names.

    Called, it is the rows as plain values: making instances of a thousand rows costs more than their query.
    """

    rows: Callable[[], QuerySet[Any, Any]]
    columns: Mapping[str, str]

    def __call__(self) -> QuerySet[Any, tuple[Any, ...]]:
        return self.rows().values_list(*self.columns.values())

    def row(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self.columns, values, strict=True))

    def one(self, **wanted: Any) -> dict[str, Any]:
        """One of the rows, as a list shows it. Raises Http404."""
        found = self.rows().filter(**wanted).values_list(*self.columns.values()).first()
        if found is None:
            raise Http404
        return self.row(found)


def page_of(shown: Shown, listing: Listing, asked: Paged, total: int | None = None) -> dict[str, Any]:
    """A page as schema.Page has it: two queries. total: exact number of rows, where it is known without counting them.

    Raises ParamsError for a cursor or a page that cannot be.
    """
    start, skip = (_start(listing, asked.cursor), 0) if asked.cursor else (None, _skipped(asked))
    found = listing.read(shown, asked.page_size + 1, start, not listing.alphabetic, skip)
    items = [shown.row(values) for values in found[: asked.page_size]]
    more = len(found) > asked.page_size
    counted = counted_rows(shown, listing, MOST_COUNTED + 1) if total is None else total
    known = min(counted, MOST_COUNTED) if total is None else total
    return {
        "items": items,
        "page": None if asked.cursor else asked.page,
        "page_size": asked.page_size,
        "total": known,
        "total_exact": known == counted,
        "total_pages": -(-known // asked.page_size),
        "has_next": more,
        "has_previous": bool(asked.cursor) or asked.page > 1,
        "next_cursor": listing.cursor(items[-1].__getitem__) if more else None,
    }


def counted_rows(shown: Shown, listing: Listing, most: int | None = None) -> int:
    """How many rows there are, and no more than `most`, where the list is read. One query."""
    condition, values = listing.all()
    with connections[shown.rows().db].cursor() as cursor:
        limited = f"SELECT FROM {listing.table} AS t WHERE {condition} LIMIT %s"
        cursor.execute(f"SELECT count(*) FROM ({limited}) AS counted", (*values, most))
        return int(cursor.fetchone()[0])


def _start(listing: Listing, cursor: str) -> Key:
    start = listing.start(cursor)
    if start is None:
        raise ParamsError({"cursor": f"cursor must be a next_cursor of this list, not {cursor[:60]!r}."})
    return start


def _skipped(asked: Paged) -> int:
    rows = (asked.page - 1) * asked.page_size
    if rows > DEEPEST:
        raise ParamsError(
            {"page": f"page must begin within the first {DEEPEST:,} rows, not at {rows:,}; go on with next_cursor."}
        )
    return rows
