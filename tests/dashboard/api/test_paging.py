from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from bots.models import Order, Trade
from dashboard.api import paging
from orchestrator.benchmarks import Queries
from tests.dashboard.cast import make_bot, make_market


@pytest.fixture
def trades(owner, market):
    """35 trades, many of them in the same moment."""
    make_bot(owner, market, trades=35)
    first = Trade.objects.earliest("time").time
    for trade in Trade.objects.all():
        trade.time = first + timedelta(seconds=trade.number // 12)
        trade.save()
    return list(Trade.objects.order_by("-time", "-id").values_list("id", flat=True))


def walked(ask, path):
    """Ids of all rows, page by page through the cursors."""
    found, cursor = [], ""
    while cursor is not None:
        data = ask(f"{path}&cursor={cursor}" if cursor else path).data
        found += [row["id"] for row in data["items"]]
        cursor = data["next_cursor"]
    return found


def test_cursors_lead_past_every_row_once(ask, trades):
    assert walked(ask, "trades?page_size=10") == trades


def test_numbered_pages_hold_the_same_rows(ask, trades):
    pages = [ask(f"trades?page_size=10&page={number}").data for number in (1, 2, 3, 4)]
    assert [row["id"] for page in pages for row in page["items"]] == trades
    assert [(page["has_previous"], page["has_next"]) for page in pages] == [
        (False, True), (True, True), (True, True), (True, False),
    ]  # fmt: skip
    assert {(page["total"], page["total_pages"], page["page_size"]) for page in pages} == {(35, 4, 10)}


def test_modes_and_states_are_merged_in_the_order_of_time(ask, owner, market):
    make_bot(owner, market, "Paper", trades=12, orders=12)
    make_bot(owner, market, "Live", trades=12, orders=12, mode="live")
    Order.objects.filter(slot__lt=7).update(status="closed")
    trades = list(Trade.objects.order_by("-time", "-id").values_list("id", flat=True))
    orders = list(Order.objects.order_by("-created_at", "-id").values_list("id", flat=True))
    for path, expected in (("trades?page_size=10", trades), ("orders?status=all&page_size=10", orders)):
        assert walked(ask, path) == expected
        pages = [ask(f"{path}&page={number}").data["items"] for number in (1, 2, 3)]
        assert [row["id"] for page in pages for row in page] == expected


def test_a_row_that_comes_meanwhile_moves_no_page_of_a_cursor(ask, trades, owner, market):
    first = ask("trades?page_size=10").data
    make_bot(owner, market, "Another", trades=3)
    second = ask(f"trades?page_size=10&cursor={first['next_cursor']}").data
    assert [row["id"] for row in second["items"]] == trades[10:20]


def test_markets_are_walked_by_symbol(ask, db):
    for base in ("ETH", "BTC", "ADA", "XRP", "SOL", "DOT", "LTC", "BCH", "EOS", "TRX", "UNI"):
        make_market(f"{base}/USDT", minutes=0)
    data = ask("markets?page_size=10").data
    rest = ask(f"markets?page_size=10&cursor={data['next_cursor']}").data
    symbols = [row["symbol"] for row in data["items"] + rest["items"]]
    assert symbols == sorted(symbols)
    assert len(symbols) == 11


def test_totals_of_trades_are_not_counted(ask, trades, django_assert_num_queries):
    ask("trades")  # its first use is noted in the token
    with django_assert_num_queries(3) as captured:  # of which one finds the token
        assert ask("trades?mode=paper").data["total_exact"]
    assert not any("COUNT(" in one["sql"] for one in captured)


def test_other_totals_are_counted_up_to_a_bound(ask, trades, monkeypatch):
    monkeypatch.setattr(paging, "MOST_COUNTED", 15)
    data = ask("trades?side=buy&page_size=10").data
    assert (data["total"], data["total_exact"], data["total_pages"], data["has_next"]) == (15, False, 2, True)


def test_a_cursor_is_looked_up_in_the_index(ask, trades, owner):
    """Whatever lies before it is never read."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        with Queries(connection) as captured:
            ask(f"trades?page_size=10&cursor={ask('trades?page_size=10').data['next_cursor']}")
        cursor.execute(
            "EXPLAIN " + next(one["sql"] for one in captured if "ROW(" in one["sql"] or ") < (" in one["sql"])
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "trade_owner_mode_time" in plan
    assert any("Index Cond" in line and "ROW(" in line for line in plan.splitlines())


@pytest.mark.parametrize(
    "asked",
    ["page=0", "page=x", "page=10001", "page_size=9", "page_size=1001", "page=2000&page_size=100", "cursor=%00"]
    # No time nor text; no number; a NUL byte, half a character, digits of another script; beyond all times.
    + [f"cursor={cursor}" for cursor in ("x", "1", "-", "YWE-", "YWE-x", "YQBi-1", "_w-1", "é-1", "YWE-٣")]
    + [f"cursor={cursor}" for cursor in (f"{'9' * 18}-1", f"YWE-{'9' * 19}", "9" * 201)],
)
@pytest.mark.parametrize("path", ["trades", "orders", "positions", "bots", "markets", "exchanges"])
def test_a_page_that_cannot_be_is_refused_by_name(ask, db, path, asked):
    answer = ask(f"{path}?{asked}")
    assert answer.status_code == 422, answer.data
    (error,) = answer.data["errors"]
    assert error["field"] in ("page", "page_size", "cursor")
    assert error["message"].startswith(error["field"])


def test_the_cursor_of_another_list_or_owner_opens_nothing(ask, ask_as_stranger, trades, owner):
    make_market("ETH/USDT", minutes=0)
    cursor = ask("trades?page_size=10").data["next_cursor"]
    assert ask_as_stranger(f"trades?cursor={cursor}").data["items"] == []
    for number in range(12):
        make_market(f"A{number}/USDT", minutes=0)
    by_symbol = ask("markets?page_size=10").data["next_cursor"]
    assert ask(f"trades?cursor={by_symbol}").status_code == 422
    assert ask(f"backtests?cursor={cursor}").status_code == 422


def test_deep_pages_say_how_to_go_on(ask, db):
    detail = ask("trades?page=1002&page_size=100").data["detail"]
    assert detail == "page must begin within the first 100,000 rows, not at 100,100; go on with next_cursor."
