"""One worker at a time at something that takes long, without a transaction that stays open meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def sole(namespace: int, keys: Iterable[int]) -> Iterator[set[int]]:
    """Those of the keys (32 bits, as the namespace) that nobody else is at, ours until the end.

    The locks are the connection's, so they fall with a worker that dies; nobody waits for them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM unnest(%s::int[]) AS key WHERE pg_try_advisory_lock(%s, key)",
            [sorted(set(keys)), namespace],
        )
        mine = [key for (key,) in cursor.fetchall()]
    try:
        yield set(mine)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, key) FROM unnest(%s::int[]) AS key", [namespace, mine])
