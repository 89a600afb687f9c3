"""What the subjects of `manage.py benchmark` share: the rows they report, medians, a database of their own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypedDict

from django.core.management.base import CommandParser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.models import Finding


class Row(TypedDict):
    """One line of a report: what took so much, and how often as much as the baseline (None: it has none)."""

    job: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None


class Subject(Protocol):
    """A module that measures something."""

    def add_arguments(self, parser: CommandParser) -> None: ...

    def rows(self, options: dict[str, Any]) -> list[Row]: ...


class Queries(CaptureQueriesContext):
    """The queries of a block, without the note (a Finding) of a slow one: whether there is one hangs on the machine."""

    @property
    def captured_queries(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        noted = False
        for query in super().captured_queries:
            is_end, noted = noted and query["sql"] == "COMMIT", _notes(query)
            if noted and found and found[-1]["sql"] == "BEGIN":
                found.pop()
            elif not noted and not is_end:
                found.append(query)
        return found


def _notes(query: dict[str, str]) -> bool:
    return query["sql"].startswith(f'INSERT INTO "{Finding._meta.db_table}"')


def row(job: str, value: float, unit: str, baseline: float | None = None) -> Row:
    """A line whose baseline, if any, is in the same unit."""
    return {"job": job, "value": value, "unit": unit, "baseline": baseline, "ratio": baseline and value / baseline}


def median_ms(work: Callable[[], Any], rounds: int) -> float:
    """Milliseconds, after one round that does not count."""
    work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(1000.0 * (time.perf_counter() - began))
    return statistics.median(taken)


@contextmanager
def own_database() -> Iterator[None]:
    """A database that nobody else sees, dropped afterwards."""
    name = str(connection.settings_dict["NAME"])
    creation = connection.creation
    creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        creation.destroy_test_db(name, verbosity=0)
