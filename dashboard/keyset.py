"""Pages of tables of any length: a page begins after a row, not after a number of rows, so the last one costs what the
first does. The statement is written out here because its shape is what keeps the index in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from dashboard import parameters
from orchestrator.prepared import Given, Prepared

SIZE, LEAST, MOST = 100, 10, 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_9999_US = 253_370_764_800_000_000
Where: TypeAlias = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of one table in the order of its key, (time, id) or (id,).

    where: conditions on `t` with their values. branches: column -> values; the rows have one of the values in each.
    Each combination is read through its own stretch of an index that begins with these columns and ends with the
    key, and no further than a page; the pages are merged then. An IN (…) would sort all that fits.
    """

    table: str
    key: tuple[str, ...]
    where: tuple[Where, ...] = ()
    branches: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def ids(self, size: int, start: tuple[Any, ...] | None, newest_first: bool) -> RawSQL:
        """Ids of the next rows after the key `start`."""
        direction, comparison = ("DESC", "<") if newest_first else ("ASC", ">")
        where = list(self.where)
        if start:
            where.append((f"({_columns('t', self.key)}) {comparison} ({', '.join(['%s'] * len(start))})", start))
        order = ", ".join(f"{name} {direction}" for name in self.key)
        sources = [f"unnest(%s::{_type(values)}[]) AS b_{column}(value)" for column, values in self.branches.items()]
        where += [(f"t.{column} = b_{column}.value", ()) for column in self.branches]
        conditions = " AND ".join(text for text, _ in where) or "true"
        inner = (
            f"SELECT {_columns('t', self.key)} FROM {self.table} AS t WHERE {conditions} ORDER BY {order} LIMIT {size}"
        )
        if sources:
            inner = (
                f"SELECT found.* FROM {', '.join(sources)}, LATERAL ({inner}) AS found ORDER BY {order} LIMIT {size}"
            )
        values = [list(values) for values in self.branches.values()] + [one for _, given in where for one in given]
        return RawSQL(f"SELECT id FROM ({inner}) AS page", values)

    def all(self) -> Where:
        """Every row, as a condition on `t`."""
        parts = [*self.where, *((f"t.{column} = ANY(%s)", (list(values),)) for column, values in self.branches.items())]
        return " AND ".join(text for text, _ in parts) or "true", tuple(one for _, given in parts for one in given)


def _columns(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def _type(values: Sequence[Any]) -> str:
    return "text" if values and isinstance(values[0], str) else "bigint"


@dataclass(frozen=True, slots=True)
class Page:
    """newer, older: cursors of the pages beside it in the table's order, "" at its ends."""

    rows: Sequence[Any]
    size: int
    newest_first: bool
    previous: str
    next: str

    @property
    def alone(self) -> bool:
        return not self.previous and not self.next


def page(query: QueryDict, listing: Listing, columns: Callable[[], QuerySet[Any]]) -> Page:
    """The page that ?size=, ?order=, ?after= or ?before= name, with columns of the listing's table: one query."""
    size = parameters.whole(query, "size", SIZE, LEAST, MOST)
    newest_first = query.get("order") != "oldest"
    after, before = (parse(query.get(name, ""), len(listing.key)) for name in ("after", "before"))
    back = before is not None and after is None
    down = newest_first != back
    ids = listing.ids(size + 1, before if back else after, down)
    order = tuple(f"-{name}" if down else name for name in listing.key)
    rows = _prepared(columns, ids.sql, len(ids.params), order).rows(**_named(ids.params))
    more = len(rows) > size
    rows = rows[:size]
    if back:
        rows.reverse()
    before_it, after_it = (more, True) if back else (after is not None, more)
    return Page(
        rows,
        size,
        newest_first,
        previous=cursor(rows[0], listing.key) if rows and before_it else "",
        next=cursor(rows[-1], listing.key) if rows and after_it else "",
    )


@lru_cache(maxsize=500)
def _prepared(columns: Callable[[], QuerySet[Any]], sql: str, count: int, order: tuple[str, ...]) -> Prepared[Any]:
    """There are as many as there are sizes of a page and filters beside each other in an address."""
    values = [Given(name) for name in _named(range(count))]
    return Prepared(lambda: columns().filter(pk__in=RawSQL(sql, values)).order_by(*order))


def _named(values: Iterable[Any]) -> dict[str, Any]:
    return {f"value_{place}": value for place, value in enumerate(values)}


def cursor(row: Any, key: Sequence[str]) -> str:
    """A row's key as an address carries it: whole numbers, times in µs UTC."""
    return "-".join(str(_number(getattr(row, name))) for name in key)


def _number(value: Any) -> int:
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else int(value)


def parse(text: str, length: int) -> tuple[Any, ...] | None:
    """The key of a cursor, None for what is none."""
    parts = text.split("-")
    if len(parts) != length or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return None
    *time, pk = (int(part) for part in parts)
    if time and time[0] > _YEAR_9999_US:
        return None
    return (*(_EPOCH + timedelta(microseconds=one) for one in time), pk)
