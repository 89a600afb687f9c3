"""How many queries a call may need; finding out who asks is not counted."""

from __future__ import annotations

import pytest
from django.db import connection

from orchestrator.benchmarks import Queries
from tests.dashboard.cast import make_bot

BUDGETS = {
    "stats": 2,
    "equity-curve?book=paper:USDT": 1,
    "positions": 2,
    "positions?page=2&page_size=10": 2,
    "trades": 2,
    "trades?side=buy": 2,
    "trades?page=3&page_size=10": 2,
    "orders": 2,
    "performance?book=paper:USDT": 3,
    "bots": 2,
    "markets": 2,
    "accounts": 2,
    "backtests": 2,
}
AUTHENTICATION = ("dashboard_apitoken",)


@pytest.fixture
def several(owner, market):
    for number in range(3):
        make_bot(owner, market, f"Grid {number}", trades=12)


@pytest.mark.parametrize("path", BUDGETS)
def test_a_call_keeps_to_its_queries(ask, several, path):
    with Queries(connection) as captured:
        assert ask(path).status_code == 200
    queries = [one["sql"] for one in captured if not any(table in one["sql"] for table in AUTHENTICATION)]
    assert len(queries) <= BUDGETS[path], "\n".join(queries)


def test_a_page_reached_by_cursor_keeps_to_two_queries(ask, several):
    cursor = ask("trades?page_size=10").data["next_cursor"]
    with Queries(connection) as captured:
        assert len(ask(f"trades?page_size=10&cursor={cursor}").data["items"]) == 10
    queries = [one["sql"] for one in captured if not any(table in one["sql"] for table in AUTHENTICATION)]
    assert len(queries) <= 2, "\n".join(queries)


def test_a_token_is_found_in_one_query_and_its_use_noted_once_a_minute(ask, db):
    ask("markets")
    with Queries(connection) as captured:
        ask("markets")
    about = [one["sql"] for one in captured if AUTHENTICATION[0] in one["sql"]]
    assert len(about) == 1, "\n".join(about)
