"""What PostgreSQL knows of its own work: sizes, scans, indexes that nobody uses, the statements that cost most."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

_TABLES = """
SELECT relname, n_live_tup, seq_scan, seq_tup_read, coalesce(idx_scan, 0), pg_table_size(relid), pg_indexes_size(relid)
FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC LIMIT %s
"""
# Those that hold a promise (primary key, unique) are of use without being read.
_UNUSED = """
SELECT stat.relname, stat.indexrelname, pg_relation_size(stat.indexrelid)
FROM pg_stat_user_indexes AS stat JOIN pg_index USING (indexrelid)
WHERE stat.idx_scan = 0 AND NOT indisunique AND pg_relation_size(stat.indexrelid) >= %s
ORDER BY 3 DESC
"""
_STATEMENTS = """
SELECT query, calls, mean_exec_time, total_exec_time, rows FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC LIMIT %s
"""
STATEMENTS_HINT = (
    "Set shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, restart PostgreSQL, and run "
    "CREATE EXTENSION pg_stat_statements."
)
LARGE = 1_000_000  # bytes of an index that is worth a word
MANY_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class TableUse:
    """A table: rows by the statistics, how often it was read whole and by an index, bytes of it and its indexes."""

    name: str
    rows: int
    whole_reads: int
    rows_read_whole: int
    index_reads: int
    size: int
    index_size: int

    @property
    def is_read_whole(self) -> bool:
        """Large, and read whole far more often than by an index."""
        return self.rows > MANY_ROWS and self.whole_reads > 10 * max(self.index_reads, 10)


@dataclass(frozen=True, slots=True)
class UnusedIndex:
    table: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Statement:
    """mean and total in milliseconds."""

    text: str
    calls: int
    mean: float
    total: float
    rows: int


def tables(most: int = 30) -> list[TableUse]:
    return [TableUse(*row) for row in _rows(_TABLES, most)]


def unused_indexes() -> list[UnusedIndex]:
    """Indexes of some size that were not read since the statistics began: see counted_since()."""
    return [UnusedIndex(*row) for row in _rows(_UNUSED, LARGE)]


def counted_since() -> datetime | None:
    """When the statistics began; None: with the database."""
    ((since,),) = _rows("SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()")
    return since if isinstance(since, datetime) else None


def statements(most: int = 20) -> list[Statement] | None:
    """The costliest statements; None where pg_stat_statements is not installed (STATEMENTS_HINT says how)."""
    if not _rows("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'"):
        return None
    return [Statement(" ".join(text.split())[:300], *row) for text, *row in _rows(_STATEMENTS, most)]


def connections() -> tuple[int, int]:
    """(connections in use on the server, most it takes)."""
    (found,) = _rows("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
    return int(found[0]), int(found[1])


def _rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
