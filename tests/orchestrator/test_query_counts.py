from __future__ import annotations

import pytest
from django.db import connection

from orchestrator.models import Finding
from orchestrator.observability import findings, tally

SLOW = 'SELECT 1 AS "slow"'


@pytest.fixture
def busy(monkeypatch):
    """A piece of work with one query, which counts as slow and is noted."""
    monkeypatch.setattr(tally, "SLOW_QUERY_SECONDS", 0.0)

    def work():
        with tally.tallied() as counted, connection.cursor() as cursor:
            cursor.execute(SLOW)
        findings._last.clear()
        findings.report(findings.Place("work"), counted, 0.1, 1.0, Finding.Kind.SLOW_REQUEST)
        assert Finding.objects.filter(place="work").count() == 1

    return work


def check(busy, django_assert_num_queries):
    with django_assert_num_queries(2) as queries:  # the slow one, and the count of the notes
        busy()
    assert queries[0]["sql"] == SLOW
    with pytest.raises(pytest.fail.Exception, match="1 queries, not 2"), django_assert_num_queries(2):
        connection.cursor().execute("SELECT 1")


@pytest.mark.django_db
def test_the_note_of_a_slow_query_is_not_counted(busy, django_assert_num_queries):
    check(busy, django_assert_num_queries)


@pytest.mark.django_db(transaction=True)
def test_nor_the_transaction_it_is_written_in(busy, django_assert_num_queries):
    check(busy, django_assert_num_queries)
