from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection

from orchestrator.observability.tally import REPEATED, shape, tallied


def test_a_shape_holds_no_value():
    assert shape("SELECT a FROM t\n  WHERE x IN (%s, %s, %s) AND y = %s LIMIT 21 OFFSET 40") == (
        "SELECT a FROM t WHERE x IN (…) AND y = %s LIMIT 0 OFFSET 0"
    )
    assert len(shape("x" * 10_000)) == 2_000


def test_queries_and_their_time_are_counted_also_of_those_that_fail(transactional_db):
    with tallied() as tally:
        list(get_user_model().objects.all())
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT nothing_of_this_name")
    assert tally.queries == 2
    assert tally.seconds > 0
    list(get_user_model().objects.all())
    assert tally.queries == 2


def test_a_query_for_every_row_is_found_and_one_for_all_is_not(db):
    users = get_user_model().objects
    with tallied() as tally:
        for number in range(REPEATED):
            users.filter(pk=number).first()
        for number in range(REPEATED - 1):
            users.filter(username=str(number)).exists()
        list(users.filter(pk__in=range(50)))
    ((statement, times),) = tally.repeated()
    assert times == REPEATED
    assert '"auth_user"."id" = %s' in statement


def test_a_slow_query_is_kept_by_its_shape(db):
    with tallied() as tally, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.06), %s", ["secret"])
    ((statement, seconds),) = tally.slow
    assert statement == "SELECT pg_sleep(0.0), %s"
    assert seconds > 0.06
