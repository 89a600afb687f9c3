"""Order books and funding: fetched by a worker while somebody looks, as often as the policy says, and kept."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from markets import services
from markets.models import Market, Quotes
from markets.services import quotes
from markets.surface import MarkPrice
from orchestrator import cache
from orchestrator.sole import sole
from tests.markets.following import jobs
from tests.markets.test_gateway import binance, futures, venue  # noqa: F401  fixtures

BTC, SWAP = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture
def simulated(exchange, redis):
    services.sync_markets(exchange)
    return {market.symbol: market for market in exchange.markets.all()}


def later():
    """As if the policies' time had gone by."""
    gone = timezone.now() - timedelta(seconds=cache.FUNDING.seconds + 1)
    Quotes.objects.update(book_asked_at=gone, funding_asked_at=gone)
    cache.drop(cache.ORDER_BOOK)


def test_a_worker_keeps_the_best_levels_and_the_funding_of_a_swap(simulated):
    market = simulated[SWAP]
    assert services.refresh_quotes(market.pk)
    kept = Quotes.objects.get()
    assert len(kept.bids) == len(kept.asks) == quotes.KEPT_LEVELS
    assert kept.bids[0][0] == max(price for price, _ in kept.bids) < kept.asks[0][0]
    assert kept.mark_price > 0
    assert kept.funding_due > kept.funding_at.timestamp() * 1000
    assert (kept.book_error, kept.funding_error) == ("", "")


def test_a_spot_market_is_not_asked_for_funding(simulated):
    assert services.refresh_quotes(simulated[BTC].pk)
    kept = Quotes.objects.get()
    assert kept.bids
    assert kept.funding_asked_at is None


def test_nothing_is_fetched_again_before_its_policy_says_so(simulated):
    market = simulated[SWAP]
    assert [services.refresh_quotes(market.pk) for _ in range(2)] == [True, False]
    first = Quotes.objects.get()
    later()
    assert services.refresh_quotes(market.pk)
    assert Quotes.objects.get().book_at > first.book_at


def test_what_the_api_has_just_fetched_is_what_the_page_gets(binance, venue, redis):  # noqa: F811
    services.sync_markets(binance)
    market = Market.objects.get()
    book = quotes.order_book(market)
    services.refresh_quotes(market.pk)
    assert [path for path in venue.asked if "depth" in path] == ["/api/v3/depth?symbol=BTCUSDT&limit=100"]
    kept = Quotes.objects.get()
    assert [tuple(level) for level in kept.bids] == book.bids
    assert int(kept.book_at.timestamp() * 1000) == book.told


def test_what_was_told_stays_with_its_age_when_the_exchange_fails(binance, venue, redis):  # noqa: F811
    services.sync_markets(binance)
    market = Market.objects.get()
    services.refresh_quotes(market.pk)
    told = Quotes.objects.get()
    venue.instead = (502, b"<html>bad gateway</html>", {})
    later()
    services.refresh_quotes(market.pk)
    kept = Quotes.objects.get()
    assert (kept.bids, kept.asks, kept.book_at) == (told.bids, told.asks, told.book_at)
    assert "Binance" in kept.book_error
    venue.instead = None
    later()
    services.refresh_quotes(market.pk)
    again = Quotes.objects.get()
    assert again.book_error == ""
    assert again.book_at > told.book_at


def test_the_funding_of_a_page_of_swaps_is_one_request(futures, venue, redis):  # noqa: F811
    services.sync_markets(futures)
    listed = Market.objects.get()
    other = Market.objects.create(
        exchange=futures, symbol="ETH/USDT:USDT", base="ETH", quote="USDT", type="swap", tick="0.01", lot="0.01"
    )
    ids = [listed.pk, other.pk]
    assert [services.refresh_funding(ids) for _ in range(2)] == [2, 0]
    assert sum("premiumIndex" in path for path in venue.asked) == 1
    assert Quotes.objects.get(market=listed).funding_rate == 0.00012
    assert Quotes.objects.get(market=other).funding_error == "Binance told no mark price of ETH/USDT:USDT."


def test_a_moment_that_no_calendar_has_is_not_kept():
    price = MarkPrice(SWAP, 0, 1.0, None, 0.0001, 2**80)
    assert quotes._funding_said(price, timezone.now())["funding_due"] is None


def test_however_many_look_a_worker_is_asked_once(simulated, redis):
    market = simulated[SWAP]
    for _ in range(5):
        quotes.ask(market.pk)
        quotes.ask_funding([market])
    assert sorted(jobs(redis)) == [(quotes.FUNDING_TASK, [[market.pk]]), (quotes.TASK, [market.pk])]


def test_nobody_is_asked_for_an_exchange_of_files(market, redis):
    market.exchange.ccxt_id = "file"
    market.exchange.save()
    assert not services.refresh_quotes(market.pk)
    assert not Quotes.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_is_at_an_exchange(simulated):
    market, found = simulated[SWAP], []

    def elsewhere():
        found.append(services.refresh_quotes(market.pk))
        connection.close()

    def run():
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()

    with sole(quotes._LOCKS, [market.exchange_id]) as mine:
        assert mine == {market.exchange_id}
        run()
    run()
    assert found == [False, True]
