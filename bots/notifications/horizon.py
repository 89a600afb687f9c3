"""How far the events can be read without missing one that commits late.

An event takes its id when it is written and is seen when its transaction commits: one with a lower id may appear after
one with a higher. Whoever remembers "read up to id 7" would miss it. But before a transaction takes an id it holds a
lock on the table (ROW EXCLUSIVE, as every INSERT does), to its end. So: note the highest id that was given out, then
who holds such a lock; when none of those does any more, everything up to that id is committed or never will be.
No writer waits for it, and it holds for any length of transaction.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from bots.models import EventHorizon

_WRITERS = """
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'bots_event'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
_LAST = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('bots_event', 'id')::regclass), 0)"


def last_given() -> int:
    """The highest id that any event has, visible or not."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST)
        return int(cursor.fetchone()[0])


@transaction.atomic
def settle() -> int:
    """The highest id up to which no event can appear any more; higher from call to call. Never waits for a writer."""
    row, _ = EventHorizon.objects.select_for_update().get_or_create(pk=1)
    if row.settled < row.asked and not _writing(row.writers):
        row.settled = row.asked
    if row.settled == row.asked:
        row.asked = last_given()  # before its writers are asked for: who holds no lock yet takes a higher id
        row.writers = _writing()
        row.settled = row.settled if row.writers else row.asked
    row.save()
    return row.settled


def _writing(known: list[str] | None = None) -> list[str]:
    """The transactions that may have written events and have not ended; of the known ones alone, if given."""
    only: tuple[str, list[Any]] = ("", []) if known is None else (" AND virtualtransaction = ANY(%s)", [known])
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS + only[0], only[1])
        return [str(row[0]) for row in cursor]
