"""Whether PostgreSQL finds the rows of a query, or reads a large table to find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection

# Below, reading a table whole may be the faster way; the planner does, rightly.
LARGE_ROWS = 20_000
_LARGE = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND reltuples >= %s"


class Query(NamedTuple):
    """A statement with its parameters, as it was asked."""

    sql: str
    parameters: Any


def large_tables() -> frozenset[str]:
    """Tables that no page may read whole, by the planner's statistics: run ANALYZE after a load."""
    with connection.cursor() as cursor:
        cursor.execute(_LARGE, [LARGE_ROWS])
        return frozenset(name for (name,) in cursor.fetchall())


def read_whole(query: Query, large: frozenset[str]) -> str:
    """The first large table that a SELECT reads row by row, without an index to its rows; "" where there is none."""
    if query.sql[:6].upper() != "SELECT":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {query.sql}", query.parameters)
        ((plan,),) = cursor.fetchall()
    return next((table for node in _nodes(plan[0]["Plan"]) if (table := _whole(node, large))), "")


def _whole(node: dict[str, Any], large: frozenset[str]) -> str:
    """An index that is read from end to end for its order alone, rows thrown away by a filter, is none."""
    table = str(node.get("Relation Name", ""))
    scans = node["Node Type"] == "Seq Scan" or ("Index Cond" not in node and "Filter" in node)
    return table if table in large and scans and "Bitmap" not in node["Node Type"] else ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
