"""Candles at which nothing happens are cheap for the database."""

from __future__ import annotations

import pytest
from django.db import connection

from bots import runs, services
from tests.bots.conftest import MINUTE, START, bars


@pytest.mark.django_db(transaction=True)
def test_a_quiet_candle_makes_no_index_entries(bot, close):
    """PostgreSQL updates in the same page (HOT) as long as no indexed column changes and the page has room."""
    services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    before = updates()
    for number in range(1, 9):
        close(bars((100, 101, 99, 100), start=START + number * MINUTE))
        runs.advance_due()
    every, hot = (now - then for now, then in zip(updates(), before, strict=True))
    assert (every, hot) == (8, 8)


def updates() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'bots_run'")
        return cursor.fetchone()
