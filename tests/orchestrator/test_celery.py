from __future__ import annotations

import psycopg
from celery import current_app
from django.db import connection

from orchestrator.servers import addresses


def test_tasks_go_on_after_the_database_dropped_their_connection(transactional_db):
    @current_app.task(name="tests.ask")
    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    first = ask.apply(throw=True).get()
    with psycopg.connect(addresses.database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert ask.apply(throw=True).get() != first
    current_app.tasks.unregister("tests.ask")
