"""What the pages cost with many rows: the index behind every table, and the number of queries."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from bots import load
from bots.models import Bot, Event, Order, Trade
from orchestrator.benchmarks import Queries
from tests.dashboard.cast import make_user

# Address -> the index that serves it. {trade}, {order}, {event}: a place in the middle of the table.
SERVED_BY = {
    "/trades/": "trade_owner_mode_time",
    "/trades/?order=oldest": "trade_owner_mode_time",
    "/trades/?after={trade}": "trade_owner_mode_time",
    "/trades/?before={trade}": "trade_owner_mode_time",
    "/trades/?from=2020-01-01&to=2099-01-01": "trade_owner_mode_time",
    "/trades/?bot={bot}": "trade_number_once",
    "/trades/?bot=load&after={trade}": "trade_bot_time",
    "/orders/": "order_owner_status",
    "/orders/?state=all&after={order}": "order_owner_status",
    "/orders/?state=closed&bot={bot}": "order_bot_status",
    # By either, as pages fill: those that are open are few.
    "/positions/": "position_owner_opened|position_one_open",
    "/positions/?state=closed": "position_owner_opened",
    "/activity/": "event_owner_id",
    "/activity/?after={event}": "event_owner_id",
    "/activity/?level=attention": "event_owner_attention",
    "/activity/?level=error": "event_owner_attention",
    "/activity/?code=started": "event_owner_code",
    "/activity/?bot={bot}": "event_bot_id",
    "/activity/?from=2020-01-01&to=2099-01-01": "event_recorded",
}
# Address -> most queries. Session and user of the visitor are two more, and the version of a page that is kept.
BUDGETS = {
    "/": 8,
    "/equity.json": 1,
    "/equity.json?period=all&book=paper:USDT": 1,
    "/performance/": 3,
    "/performance/?period=all&by=kind": 3,
    "/performance/correlation/": 2,
    "/bots/": 3,
    "/bots/?sort=-pnl&size=100": 3,
    "/bots/{bot}/": 8,
    "/positions/": 2,
    "/trades/": 2,
    "/trades/?after={trade}&size=1000": 2,
    "/trades/?kind=grid&side=buy": 2,
    "/orders/?state=all": 2,
    "/activity/?level=attention": 2,
}
VISITOR = 3


@pytest.fixture
def visit(client, db):
    """GET as the owner of a data set that is large enough for plans to matter: the queries it took."""
    load.seed(60, 30_000, 12, "load")
    client.force_login(get_user_model().objects.get(username="load"))
    trade, order = Trade.objects.order_by("time")[15_000], Order.objects.order_by("created_at")[2_000]
    places = {
        "trade": f"{int(trade.time.timestamp() * 1e6)}-{trade.pk}",
        "order": f"{int(order.created_at.timestamp() * 1e6)}-{order.pk}",
        "event": Event.objects.order_by("pk")[2_000].pk,
        "bot": Bot.objects.filter(status="running").first().pk,
    }

    def get(address):
        with Queries(connection) as queries:
            assert client.get(address.format(**places)).status_code == 200
        return [query["sql"] for query in queries]

    return get


def plan(sql):
    """Small tables are read whole to join them; so many rows take their index."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan TO off")
        cursor.execute("EXPLAIN " + sql.replace("%", "%%"))
        return "\n".join(row[0] for row in cursor.fetchall())


def test_every_page_of_a_table_is_read_through_the_index_made_for_it(visit, monkeypatch):
    monkeypatch.setattr("dashboard.listings.FEW_TRADES", 10_000)
    # Most events are another's: the primary key alone would have to pass over them.
    Event.objects.filter(bot__in=Bot.objects.order_by("pk").values("pk")[10:]).update(owner=make_user("stranger"))
    connection.cursor().execute("ANALYZE bots_event")
    wrong = {}
    for address, index in SERVED_BY.items():
        (sql,) = [sql for sql in visit(address) if "AS page" in sql]
        found = plan(sql)
        if not re.search(index, found):
            wrong[address] = f"{index} is not used:\n{found}"
    assert not wrong, "\n".join(wrong.values())
    (counted,) = [sql for sql in visit("/") if "AS times" in sql]
    assert "event_owner_attention" in plan(counted)


def test_no_page_takes_more_queries_than_it_may(visit):
    over = []
    for address, most in BUDGETS.items():
        queries = visit(address)
        if len(queries) > most + VISITOR:
            over.append(f"{address} took {len(queries)} queries, not {most} + {VISITOR}:\n" + "\n".join(queries))
    assert not over, "\n".join(over)
