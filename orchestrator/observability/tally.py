"""What one piece of work (a request, a task) asks of the database, counted while it runs."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from orchestrator import tracing
from orchestrator.cache import Noticed, noticed
from orchestrator.observability.metrics import QUERIES

SLOW_QUERY_SECONDS = 0.05
# A shape that comes this often in one piece of work should have been one query.
REPEATED = 6
LONGEST = 2_000  # characters kept of a statement
_LISTS = re.compile(r"\((?:\s*%s\s*,?)+\)")
_NUMBERS = re.compile(r"\b\d+\b")
_OPERATIONS = {"select", "insert", "update", "delete"}


def shape(sql: str) -> str:
    """A statement without what varies from one to the next: lists of values and plain numbers; never a parameter."""
    return _NUMBERS.sub("0", _LISTS.sub("(…)", " ".join(sql.split())))[:LONGEST]


def repeated(statements: Mapping[str, int]) -> list[tuple[str, int]]:
    """(shape, times) of the SELECTs among statements and their times that came as often as no page should ask."""
    shapes: Counter[str] = Counter()
    for sql, times in statements.items():
        if sql[:6].upper() == "SELECT":
            shapes[shape(sql)] += times
    return [(text, times) for text, times in shapes.items() if times >= REPEATED]


@dataclass(slots=True)
class Tally:
    """queries and seconds of the whole; times of each raw statement; those that were slow, with their seconds."""

    queries: int = 0
    seconds: float = 0.0
    statements: Counter[str] = field(default_factory=Counter)
    slow: list[tuple[str, float]] = field(default_factory=list)
    cache: Noticed = field(default_factory=Counter)

    @property
    def cache_reads(self) -> tuple[int, int]:
        """Keys that were asked of the cache, and those of them that were there."""
        hits = sum(keys for (_, outcome), keys in self.cache.items() if outcome in {"hit", "stale", "waited"})
        # What the memory of a process answered counts twice, as such and by what it was.
        return sum(keys for (_, outcome), keys in self.cache.items() if outcome != "local"), hits

    def watch(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Django's execute_wrapper: times one statement, those that fail included."""
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.add(str(sql), time.perf_counter() - began)

    def add(self, sql: str, seconds: float) -> None:
        self.queries += 1
        self.seconds += seconds
        self.statements[sql] += 1
        if seconds > SLOW_QUERY_SECONDS:
            self.slow.append((shape(sql), seconds))
        word = sql[:6].lower()
        QUERIES.labels(word if word in _OPERATIONS else "other").observe(seconds)

    def repeated(self) -> list[tuple[str, int]]:
        """(shape, times) of the SELECTs that came again and again: one query a row, where one for all would do."""
        return repeated(self.statements) if self.queries >= REPEATED else []


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count the queries of all connections of this thread."""
    tally = Tally()
    with ExitStack() as stack:
        tally.cache = stack.enter_context(noticed())
        for connection in connections.all():
            if traced := tracing.queries(connection):
                stack.enter_context(traced)
            stack.enter_context(connection.execute_wrapper(tally.watch))
        yield tally
