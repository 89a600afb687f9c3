"""Pages asked for by several visitors while Redis hangs or is dead."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from orchestrator import cache
from orchestrator.cache import Cache, link
from tests.dashboard.cast import make_bot, make_market, make_user
from tests.orchestrator.processes import until
from tests.orchestrator.redis_server import FAULTS, Server

VISITORS, ROUNDS = 4, 3


@pytest.fixture
def server(tmp_path, settings, monkeypatch):
    # So long that no other delay of a busy machine is mistaken for it.
    monkeypatch.setattr(link, "LAST_SECONDS", 4.0)
    with Server.running(tmp_path) as own:
        settings.REDIS_URL = own.url
        yield own
        cache.of_this_process().store.flush()


def visit(user, addresses):
    """Status and seconds of every page."""
    client, found = Client(raise_request_exception=False), []
    client.force_login(user)
    for address in addresses * ROUNDS:
        began = time.perf_counter()
        status = client.get(address).status_code
        found.append((status, time.perf_counter() - began))
    connection.close()
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fail", FAULTS)
def test_no_page_breaks_and_one_at_most_is_slow(server, fail):
    owner, market = make_user("owner", is_staff=True), make_market()
    bot = make_bot(owner, market)
    indicators = f"/markets/{market.pk}/chart.json?indicators=sma,rsi,macd,ichimoku"
    addresses = ["/", "/markets/", f"/markets/{market.pk}/", indicators, f"/bots/{bot.pk}/", "/admin/cache/"]
    visit(owner, addresses)
    end = fail(server)
    try:
        with ThreadPoolExecutor(VISITORS) as pool:
            visits = list(pool.map(visit, [owner] * VISITORS, [addresses] * VISITORS))
    finally:
        end()
    statuses, seconds = zip(*(page for pages in visits for page in pages), strict=True)
    assert set(statuses) == {200}
    assert sum(one > 3.0 for one in seconds) == (fail is Server.hang)
    here, elsewhere = cache.of_this_process(), Cache(server.url)
    until(lambda: here.store.link.outage is None, 10, "Redis counts as back")
    assert here.fetch(cache.TICKER, "BTC", 1, lambda: "shared") == "shared"
    assert elsewhere.fetch(cache.TICKER, "BTC", 1, lambda: "again") == "shared"
    elsewhere.store.flush()  # what is left would be sent after the server's end
