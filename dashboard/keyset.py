"""Pages of tables of any length, for people and for the API: a page begins after a row, not after a number of rows, so
the last one costs what the first does. The statement is written out here because its shape keeps the index in use.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, TypeAlias

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from dashboard import parameters
from orchestrator.prepared import Given, Prepared

SIZE, LEAST, MOST = 100, 10, 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Where: TypeAlias = tuple[str, tuple[Any, ...]]
Key: TypeAlias = tuple[Any, ...]


def equal(**wanted: Any) -> list[Where]:
    """Conditions on columns of `t`; None asks for nothing."""
    return [(f"t.{column} = %s", (value,)) for column, value in wanted.items() if value is not None]


def between(column: str, start: datetime | None, end: datetime | None) -> list[Where]:
    """Half-open: start <= column < end, as far as they are told."""
    bounds = ((f"{column} >= %s", start), (f"{column} < %s", end))
    return [(text, (value,)) for text, value in bounds if value is not None]


def containing(column: str, text: str) -> Where:
    """In capitals or not, as Django's icontains."""
    return f"strpos(upper({column}), upper(%s)) > 0", (text,)


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of one table in the order of its key: (time, id) or (id,), or (text, id) when it is alphabetic.

    where: conditions on `t` with their values. branches: column -> values; the rows have one of the values in each.
    Each combination is read through its own stretch of an index that begins with these columns and ends with the
    key, and no further than a page; the pages are merged then. An IN (…) would sort all that fits.
    """

    table: str
    key: tuple[str, ...]
    where: Sequence[Where] = ()
    branches: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    alphabetic: bool = False

    def ids(self, size: int, start: Key | None, descending: bool, skip: int = 0) -> RawSQL:
        """Ids of the next rows after the key `start`; those to skip are passed over in the index alone."""
        direction, comparison = ("DESC", "<") if descending else ("ASC", ">")
        where = list(self.where)
        if start:
            where.append((f"({_columns('t', self.key)}) {comparison} ({', '.join(['%s'] * len(start))})", start))
        order = ", ".join(f"{name} {direction}" for name in self.key)
        part = f"ORDER BY {order} LIMIT %s OFFSET %s"
        sources = [f"unnest(%s::{_type(values)}[]) AS b_{column}(value)" for column, values in self.branches.items()]
        where += [(f"t.{column} = b_{column}.value", ()) for column in self.branches]
        conditions = " AND ".join(text for text, _ in where) or "true"
        values = [list(values) for values in self.branches.values()] + [one for _, given in where for one in given]
        sql = f"SELECT {_columns('t', self.key)} FROM {self.table} AS t WHERE {conditions} {part}"
        if sources:
            sql = f"SELECT found.* FROM {', '.join(sources)}, LATERAL ({sql}) AS found {part}"
            values += [skip + size, 0]
        return RawSQL(f"SELECT id FROM ({sql}) AS page", [*values, size, skip])

    def all(self) -> Where:
        """Every row, as a condition on `t`."""
        parts = [*self.where, *((f"t.{column} = ANY(%s)", (list(values),)) for column, values in self.branches.items())]
        return " AND ".join(text for text, _ in parts) or "true", tuple(one for _, given in parts for one in given)

    def cursor(self, value: Callable[[str], Any]) -> str:
        """A row's key as an address carries it: whole numbers, times in µs UTC, texts in base64."""
        return "-".join(_written(value(name)) for name in self.key)

    def start(self, cursor: str) -> Key | None:
        """The key in a cursor, None for what is none."""
        *first, pk = cursor.rsplit("-", len(self.key) - 1)
        if len(first) != len(self.key) - 1:
            return None
        try:
            return (*map(_text if self.alphabetic else _time, first), _number(pk))
        except (ValueError, OverflowError):
            return None

    def read(
        self, columns: Callable[[], QuerySet[Any, Any]], size: int, start: Key | None, descending: bool, skip: int = 0
    ) -> list[Any]:
        """The rows of ids(), with columns of the table: one query."""
        ids = self.ids(size, start, descending, skip)
        order = tuple(f"-{name}" if descending else name for name in self.key)
        return _prepared(columns, ids.sql, len(ids.params), order).rows(**_named(ids.params))


def _columns(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


def _type(values: Sequence[Any]) -> str:
    return "text" if values and isinstance(values[0], str) else "bigint"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
    return str((value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else int(value))


def _number(text: str) -> int:
    """Raises ValueError; int() alone would take signs, spaces and other scripts' digits."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ValueError(text)
    return int(text)


def _time(text: str) -> datetime:
    return _EPOCH + timedelta(microseconds=_number(text))


def _text(text: str) -> str:
    """Raises ValueError, for the NUL byte as well, which PostgreSQL refuses."""
    found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    if "\0" in found:
        raise ValueError(text)
    return found


@lru_cache(maxsize=500)
def _prepared(columns: Callable[[], QuerySet[Any, Any]], sql: str, count: int, order: tuple[str, ...]) -> Prepared[Any]:
    """There are as many as there are ways to put filters beside each other in an address."""
    values = [Given(name) for name in _named(range(count))]
    return Prepared(lambda: columns().filter(pk__in=RawSQL(sql, values)).order_by(*order))


def _named(values: Iterable[Any]) -> dict[str, Any]:
    return {f"value_{place}": value for place, value in enumerate(values)}


@dataclass(frozen=True, slots=True)
class Page:
    """previous, next: cursors of the pages beside it, "" at the ends of the table."""

    rows: Sequence[Any]
    size: int
    newest_first: bool
    previous: str
    next: str

    @property
    def alone(self) -> bool:
        return not self.previous and not self.next


def page(query: QueryDict, listing: Listing, columns: Callable[[], QuerySet[Any, Any]]) -> Page:
    """The page that ?size=, ?order=, ?after= or ?before= name, with columns of the listing's table: one query."""
    size = parameters.whole(query, "size", SIZE, LEAST, MOST)
    newest_first = query.get("order") != "oldest"
    after, before = (listing.start(query.get(name, "")) for name in ("after", "before"))
    back = before is not None and after is None
    rows = listing.read(columns, size + 1, before if back else after, newest_first != back)
    more = len(rows) > size
    rows = rows[:size]
    if back:
        rows.reverse()
    before_it, after_it = (more, True) if back else (after is not None, more)
    return Page(
        rows,
        size,
        newest_first,
        previous=listing.cursor(partial(getattr, rows[0])) if rows and before_it else "",
        next=listing.cursor(partial(getattr, rows[-1])) if rows and after_it else "",
    )
