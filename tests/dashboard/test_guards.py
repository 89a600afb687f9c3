"""A page that asks for every row, an index that is gone, a cache that keeps nothing: each is caught, and named."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection

from bots import load
from bots.models import Bot
from dashboard import rows
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

    connection.cursor().execute("DROP INDEX trade_owner_mode_time")
    ((view, what, query),) = visits.breaches(owner, ["/trades/", "/positions/", "/orders/"])
    assert (view, what) == ("trades", "bots_trade is read without an index")
    assert 'FROM "bots_trade"' in query
    assert "'paper'" not in query  # its shape, without what was asked for


def test_a_query_for_every_row_is_caught_with_its_view_and_query(visited, monkeypatch):
    plain = rows.bot_row

    def asks_again(bot, *args):  # as if what a row shows were not in the query of the page
        Bot.objects.get(pk=bot.pk)
        return plain(bot, *args)

    assert visits.breaches(visited, ["/bots/"]) == []
    monkeypatch.setattr(rows, "bot_row", asks_again)
    ((view, what, query),) = visits.breaches(visited, ["/bots/?sort=name"])
    assert (view, what) == ("bots", "one query 8 times")
    assert query.startswith("SELECT") and '"bots_bot"."id" = %s' in query  # noqa: PT018
    # The middleware has told the same of the visit itself.
    seen = Finding.objects.get(kind=Finding.Kind.REPEATED_QUERY)
    assert (seen.place, seen.user, seen.count, seen.statement) == ("bots", visited, 8, query)


def test_a_cache_that_keeps_nothing_is_caught_with_its_view_and_policy(visited, monkeypatch):
    plain = Store.write

    def forgets_pages(self, policy, *args):
        if policy.name != "pages":
            plain(self, policy, *args)

    assert visits.breaches(visited, ["/bots/", "/performance/"]) == []
    monkeypatch.setattr(Store, "write", forgets_pages)
    found = visits.breaches(visited, ["/bots/?sort=name", "/performance/"])
    assert list(map(str, found)) == ["bots: computed anew at every visit: policy pages"]


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
