"""What the subjects of `manage.py benchmark` share: the rows they report, medians, a database of their own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypedDict

from django.core.management.base import CommandParser
from django.db import connection


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
