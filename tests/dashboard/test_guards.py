"""A page that asks for every row, an index that is gone, a cache that keeps nothing: each is caught, and named."""

from __future__ import annotations

import inspect
import json
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import resolve

from bots import load
from bots.models import Bot
from dashboard import rows, urls
from dashboard.api import application, paging
from dashboard.system import visits
from orchestrator.cache.store import Store
from orchestrator.models import Finding
from tests.dashboard.cast import make_bot


@pytest.fixture
def visited(owner, market, redis):
    """The owner of some bots; pages of their own can be told from those of the tests before."""
    for number in range(8):
        make_bot(owner, market, f"Bot {number}")
    return owner


def test_no_page_breaks_a_rule_and_a_dropped_index_is_caught_with_its_view_table_and_query(db, redis):
    load.seed(60, 30_000, 12, "load")
    owner = get_user_model().objects.get(username="load")
    assert list(map(str, visits.breaches(owner))) == []
    assert not Session.objects.exists()

    for index, address, view, table in (
        ("trade_bot_time", "/bots/{bot}/", "bot", "bots_trade"),
        ("trade_bot_time", "/bots/{bot}/chart.json", "bot-chart", "bots_trade"),
        ("trade_owner_mode_time", "/trades/", "trades", "bots_trade"),
    ):
        dropped = transaction.savepoint()
        connection.cursor().execute(f"DROP INDEX {index}")
        found = visits.breaches(owner, [address, "/positions/", "/orders/"])
        assert {(one.view, one.what) for one in found} == {(view, f"{table} is read without an index")}
        assert all(f'FROM "{table}"' in one.detail for one in found)
        assert all("'paper'" not in one.detail for one in found)  # its shape, without what was asked for
        transaction.savepoint_rollback(dropped)


@pytest.mark.parametrize(
    ("address", "place", "name"), [("/bots/?sort=name", rows, "bot_row"), ("/api/bots?sort=name", paging.Shown, "row")]
)
def test_a_query_for_every_row_is_caught_with_its_view_and_query(visited, monkeypatch, address, place, name):
    plain = getattr(place, name)

    def asks_again(*args):  # as if what a row shows were not in the query of the page
        Bot.objects.filter(pk=visited.pk).exists()
        return plain(*args)

    path, view = address.partition("?")[0], resolve(address.partition("?")[0]).view_name
    assert visits.breaches(visited, [path]) == []
    monkeypatch.setattr(place, name, asks_again)
    ((found, what, query),) = visits.breaches(visited, [address])
    assert (found, what) == (view, "one query 8 times")
    assert query.startswith("SELECT") and '"bots_bot"."id" = %s' in query  # noqa: PT018
    # The middleware has told the same of the visit itself.
    seen = Finding.objects.get(kind=Finding.Kind.REPEATED_QUERY)
    assert (seen.place, seen.user, seen.count, seen.statement) == (view, visited, 8, query)


def test_a_cache_that_keeps_nothing_is_caught_with_its_view_and_policy(visited, monkeypatch):
    plain = Store.write

    def forgets_pages(self, policy, *args):
        if policy.name != "pages":
            plain(self, policy, *args)

    assert visits.breaches(visited, ["/bots/", "/performance/"]) == []
    monkeypatch.setattr(Store, "write", forgets_pages)
    found = visits.breaches(visited, ["/bots/?sort=name", "/performance/"])
    assert list(map(str, found)) == ["bots: computed anew at every visit: policy pages"]


@pytest.mark.parametrize("view", ["bots", "orders", "markets"])
def test_a_view_that_does_not_ask_the_cache_is_caught_with_its_policy(visited, monkeypatch, view):
    (pattern,) = [one for one in urls.urlpatterns if getattr(one, "name", None) == view]
    monkeypatch.setattr(pattern, "callback", inspect.unwrap(pattern.callback))
    found = visits.breaches(visited, ["/bots/", "/orders/", "/markets/"])
    assert list(map(str, found)) == [f"{view}: not asked of the cache: policy pages"]


# What no visit opens: it changes something, is of a row that not every user has, or shows nothing of a user's.
UNVISITED = {
    "halt", "release", "bots-bulk", "bot-action", "backtest-cancel", "backtest-again", "backtest-delete",
    "market-watch", "settings-currency", "settings-password", "revoke-api-token", "channel-test",
    "channel-pause", "channel-delete", "logout", "backtest", "backtest-curve", "backtest-chart", "channel",
    "position-dismiss", "positions-ndjson", "trades-ndjson", "orders-ndjson", "activity-ndjson", "system", "manifest",
    "service-worker", "offline", "health", "ready", "metrics", "login", "api-reference",
}  # fmt: skip


def test_every_page_is_visited_or_named_as_one_that_is_not():
    opened = {address.partition("?")[0].format(bot=1, market=1) for address in visits.ADDRESSES}
    visited = {resolve(address).view_name for address in opened}
    assert {one.name for one in urls.urlpatterns if getattr(one, "name", None)} - UNVISITED <= visited
    schema = application.api.get_openapi_schema(path_prefix="/api/")["paths"]
    lists = {path for path, one in schema.items() if "get" in one and "{" not in path}
    # Of one book, which must be named, as the pages show it.
    assert lists - {"/api/health", "/api/equity-curve", "/api/performance"} <= opened


def test_the_audit_visits_the_pages_of_a_user(visited, monkeypatch):
    monkeypatch.setattr(visits, "ADDRESSES", ("/bots/",))

    def subjects():
        out = StringIO()
        with pytest.raises(SystemExit):  # there is no worker
            call_command("audit_performance", "--visit", visited.username, "--json", stdout=out)
        return {check["subject"]: check for check in json.loads(out.getvalue())["checks"]}

    assert subjects()[f"Pages of {visited.username}"]["grade"] == "good"
    monkeypatch.setattr(Store, "write", lambda *_: None)
    told = subjects()["Page bots: computed anew at every visit"]
    assert (told["grade"], told["value"]) == ("broken", "policy pages")
    with pytest.raises(CommandError, match=r"^--visit must be the name of a user, not 'nobody'\.$"):
        call_command("audit_performance", "--visit", "nobody")
