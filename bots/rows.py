"""Set-based writes: one statement for many rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Field, Model

# psycopg writes these as they are; the column's own type rounds and bounds.
PLAIN = (bytes, str, int, float, Decimal, datetime, type(None))


def _column(field: Field[Any, Any], values: list[Any]) -> list[Any]:
    if all(type(value) in PLAIN for value in values):
        return values
    return [field.get_db_prep_save(value, connection) for value in values]


def update(rows: Sequence[Model], *names: str) -> None:
    """UPDATE … FROM unnest: write these fields of many rows of one model in one statement."""
    if not rows:
        return
    meta, quote = rows[0]._meta, connection.ops.quote_name
    fields: list[Field[Any, Any]] = [meta.get_field(name) for name in ("id", *names)]  # type: ignore[misc]
    columns = [quote(str(field.column)) for field in fields]
    arrays = ", ".join(f"%s::{field.cast_db_type(connection)}[]" for field in fields)
    sets = ", ".join(f"{column} = new.{column}" for column in columns[1:])
    values = [_column(field, [getattr(row, field.attname) for row in rows]) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {quote(meta.db_table)} AS old SET {sets} "
            f"FROM unnest({arrays}) AS new ({', '.join(columns)}) WHERE old.id = new.id",
            values,
        )
