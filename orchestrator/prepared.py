"""Reads whose SQL is made once a process: to build a queryset and to compile it costs Django a millisecond and more,
several times what PostgreSQL needs for the rows, and a page asks for the same ten again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

from django.db import connections
from django.db.models import BooleanField, Expression, Field, QuerySet, TextField, prefetch_related_objects
from django.db.models.expressions import RawSQL
from django.db.models.sql.compiler import SQLCompiler

T = TypeVar("T")


class Given(Expression):
    """A value of a prepared read that is told each time, by its name; as it is when it reaches the database driver.

    Where it stands for one column compared with another value, field says how; a list is for among().
    """

    def __init__(self, name: str, field: Field[Any, Any] | None = None) -> None:
        super().__init__(output_field=field or TextField())
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


def among(column: str, name: str) -> RawSQL:
    """Condition on a column ("table.column") of whole numbers: one of a list that is told by this name."""
    return RawSQL(f"{column} = ANY(%s::bigint[])", (Given(name),), output_field=BooleanField())


class Prepared(Generic[T]):
    """The rows of a queryset that `build` makes on first use, with Given where its values vary.

    They come as from the queryset itself: instances with what was selected and prefetched, or values, of the database
    that is to be read just now.
    """

    def __init__(self, build: Callable[[], QuerySet[Any, T]]) -> None:
        self._build = build

    def rows(self, **values: Any) -> list[T]:
        """One query, and those of prefetch_related(). Raises KeyError for a value that is not told."""
        return self._read("", values)

    def between(self, start: int, stop: int, **values: Any) -> list[T]:
        """The same of a part, as queryset[start:stop] of one that is not sliced itself."""
        return self._read(f" LIMIT {stop - start:d} OFFSET {start:d}", values)

    def _read(self, part: str, values: dict[str, Any]) -> list[T]:
        queryset, compiler, sql, parameters = self._made
        bound = tuple(values[one.name] if isinstance(one, Given) else one for one in parameters)
        found: list[Any] = list(queryset._iterable_class(_source(queryset, compiler, sql + part, bound)))
        prefetch_related_objects(found, *queryset._prefetch_related_lookups)
        return found

    @cached_property
    def _made(self) -> tuple[Any, SQLCompiler, str, tuple[Any, ...]]:
        queryset: Any = self._build()
        compiler = queryset.query.get_compiler(queryset.db)
        return queryset, compiler, *compiler.as_sql()


def _source(queryset: Any, compiler: SQLCompiler, sql: str, parameters: tuple[Any, ...]) -> SimpleNamespace:
    """What Django's iterables take for a queryset: this thread's connection, a compiler that has nothing left to do."""
    alias = queryset.db
    ready, query = copy(compiler), copy(queryset.query)
    ready.using, ready.connection = alias, connections[alias]
    ready.as_sql = lambda: (sql, parameters)  # type: ignore[method-assign, assignment, misc]
    query.get_compiler = lambda using: ready
    return SimpleNamespace(
        model=queryset.model, db=alias, query=query, _fields=queryset._fields, _known_related_objects={}
    )
