"""Rows of PostgreSQL's binary COPY as numpy records: fixed width, no nulls, written and read without a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import connection

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
Records = np.ndarray[Any, Any]


def row_dtype(*columns: tuple[str, str]) -> np.dtype[Any]:
    """Layout of a row: a count of fields, then length and value of each, big-endian. columns: (name, ">i8")."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    return np.dtype(fields)


def rows_of(dtype: np.dtype[Any], **columns: Any) -> Records:
    """Rows of a layout; columns by name: arrays of one length, at least one, and scalars."""
    (count,) = {len(column) for column in columns.values() if np.ndim(column)}
    rows = np.empty(count, dtype)
    rows["fields"] = len(columns)
    for name, column in columns.items():
        rows[f"{name}_length"] = dtype[name].itemsize
        rows[name] = column
    return rows


def stage(table: str, columns: str, rows: Records) -> None:
    """Put rows into a temporary table of the session, made when it is missing; inside a transaction, whose end
    empties it. Its name must be the module's own: what was in it is thrown away.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({columns}) ON COMMIT DELETE ROWS")
        cursor.execute(f"TRUNCATE pg_temp.{table}")
        with cursor.copy(f"COPY pg_temp.{table} FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(HEADER)
            copy.write(rows.tobytes())
            copy.write(TRAILER)
