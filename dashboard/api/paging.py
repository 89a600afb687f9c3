"""Pages of a list, newest first: by number, for people, and by cursor, as fast at the millionth row as at the first.

Counting a million rows takes longer than reading a page, so nothing counts them: of what is counted elsewhere already
the total is asked there (a run knows its trades), and of the rest no more than MOST_COUNTED rows are looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import Http404

from bots.kinds.parameters import ParamsError
from dashboard.api.schema import Paged

MOST_COUNTED = 10_000
# Rows before a numbered page: an index is walked over all of them.
DEEPEST = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be paged: newest first by `key`, a time that is never null, and the primary key.

    alphabetic: in the order of key, a text, instead. columns: name in the answer -> column. total: exact number of
    rows, where it is known without counting them. branches: filters that divide the rows so that an index holds each
    part in this order; a page is merged from one of each.
    """

    rows: QuerySet[Any]
    columns: Mapping[str, str]
    key: str
    total: Callable[[], int] | None = None
    alphabetic: bool = False
    branches: Sequence[Mapping[str, Any]] = ()

    @property
    def order(self) -> tuple[str, str]:
        return (self.key, "pk") if self.alphabetic else (f"-{self.key}", "-pk")


def page_of(listing: Listing, asked: Paged) -> dict[str, Any]:
    """A page as schema.Page has it: two queries. Raises ParamsError for a cursor or a page that cannot be."""
    found = _after(listing, asked) if asked.cursor else _numbered(listing, asked)
    more = len(found) > asked.page_size
    total, exact = _total(listing)
    shown = found[: asked.page_size]
    return {
        "items": [_row(values, listing.columns) for values in shown],
        "page": None if asked.cursor else asked.page,
        "page_size": asked.page_size,
        "total": total,
        "total_exact": exact,
        "total_pages": -(-total // asked.page_size),
        "has_next": more,
        "has_previous": bool(asked.cursor) or asked.page > 1,
        "next_cursor": _cursor(*shown[-1][-2:]) if more else None,
    }


def given(**wanted: Any) -> dict[str, Any]:
    """Filters that were asked for."""
    return {name: value for name, value in wanted.items() if value is not None}


def one_of(rows: QuerySet[Any], columns: Mapping[str, str], pk: int) -> dict[str, Any]:
    """One of the rows, as a list shows it. Raises Http404."""
    found = rows.filter(pk=pk).values_list(*columns.values()).first()
    if found is None:
        raise Http404
    return _row(found, columns)


def _row(values: tuple[Any, ...], columns: Mapping[str, str]) -> dict[str, Any]:
    # The key and the primary key behind the columns are the cursor's.
    return dict(zip(columns, values, strict=False))


def _read(listing: Listing, rows: QuerySet[Any]) -> QuerySet[Any, tuple[Any, ...]]:
    """Plain values: making instances of a thousand rows costs more than their query."""
    return rows.order_by(*listing.order).values_list(*listing.columns.values(), F(listing.key), F("pk"))


def _numbered(listing: Listing, asked: Paged) -> list[tuple[Any, ...]]:
    start = (asked.page - 1) * asked.page_size
    if start > DEEPEST:
        raise ParamsError(
            {"page": f"page must begin within the first {DEEPEST:,} rows, not at {start:,}; go on with next_cursor."}
        )
    return list(_window(listing, None, start, asked.page_size + 1))


def _after(listing: Listing, asked: Paged) -> list[tuple[Any, ...]]:
    place = _place(asked.cursor or "", listing.alphabetic)
    return list(_window(listing, place, 0, asked.page_size + 1))


def _window(
    listing: Listing, place: tuple[datetime | str, int] | None, start: int, count: int
) -> QuerySet[Any, tuple[Any, ...]]:
    """`count` rows from the `start`th behind a place on, to which the index leads at once.

    The rows before are passed over in the index alone; the joins are made for the page.
    """
    branches = listing.branches or [{}]
    parts = [_behind(listing, filters, place) for filters in branches]
    if len(parts) == 1:
        keys: Any = parts[0].values("pk")[start : start + count]
    else:
        keys = _merged(listing, parts, start, count)
    return _read(listing, listing.rows.filter(pk__in=keys))


def _merged(listing: Listing, parts: Sequence[QuerySet[Any, dict[str, Any]]], start: int, count: int) -> RawSQL:
    """The same window of all parts together. Django's union() cannot be cut by a column that it does not answer."""
    compiled = [part[: start + count].query.sql_with_params() for part in parts]
    together = " UNION ALL ".join(f"({sql})" for sql, _ in compiled)
    direction = "" if listing.alphabetic else " DESC"
    return RawSQL(  # made of what Django compiled, and of names of ours
        f'SELECT pk FROM ({together}) AS part ORDER BY "{listing.key}"{direction}, pk{direction} '
        f"LIMIT {count:d} OFFSET {start:d}",
        [value for _, values in compiled for value in values],
    )


def _behind(
    listing: Listing, filters: Mapping[str, Any], place: tuple[datetime | str, int] | None
) -> QuerySet[Any, dict[str, Any]]:
    """Keys of one branch, those behind the place: a comparison of whole rows, as the index is ordered."""
    rows = listing.rows.filter(**filters)
    if place is not None:
        behind = TupleGreaterThan if listing.alphabetic else TupleLessThan
        rows = rows.filter(behind(Tuple(F(listing.key), F("pk")), place))
    return rows.order_by(*listing.order).values("pk", listing.key)


def _total(listing: Listing) -> tuple[int, bool]:
    if listing.total is not None:
        return listing.total(), True
    counted = listing.rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return min(counted, MOST_COUNTED), counted <= MOST_COUNTED


def _cursor(key: datetime | str, pk: int) -> str:
    text = key if isinstance(key, str) else key.isoformat()
    return base64.urlsafe_b64encode(f"{pk} {text}".encode()).decode().rstrip("=")


def _place(cursor: str, alphabetic: bool) -> tuple[datetime | str, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        number, _, rest = text.partition(" ")
        key, pk = rest if alphabetic else datetime.fromisoformat(rest).astimezone(UTC), int(number)
        if "\0" in rest or not 0 <= pk < 2**63:
            raise ValueError(cursor)
    except (ValueError, binascii.Error, OverflowError):
        raise ParamsError({"cursor": f"cursor must be a next_cursor of this list, not {cursor[:60]!r}."}) from None
    return key, pk
