"""Order books and funding: fetched by a worker while somebody looks, as often as the policy says, and kept."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from markets import services
from markets.models import Market, Quotes
from markets.services import quotes
from markets.surface import MarkPrice
from orchestrator import cache
from orchestrator.sole import sole
from tests.markets.binance import binance, futures, venue  # noqa: F401  fixtures
from tests.markets.following import jobs

BTC, SWAP = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture
def simulated(exchange, redis):
    services.sync_markets(exchange)
    return {market.symbol: market for market in exchange.markets.all()}


def later():
    """As if the policies' time had gone by."""
    gone = timezone.now() - timedelta(seconds=cache.FUNDING.seconds + 1)
    Quotes.objects.update(book_asked_at=gone, funding_asked_at=gone, spread_asked_at=gone)


def test_a_worker_keeps_the_best_levels_and_the_funding_of_a_swap(simulated):
    market = simulated[SWAP]
    assert services.refresh_quotes(market.pk)
    kept = Quotes.objects.get()
    assert len(kept.bids) == len(kept.asks) == quotes.LEVELS
    assert (kept.bid, kept.ask, kept.spread_at) == (kept.bids[0][0], kept.asks[0][0], kept.book_at)
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
    assert [services.refresh_listed(ids) for _ in range(2)] == [2, 0]
    assert sum("premiumIndex" in path for path in venue.asked) == 1
    assert sum("ticker" in path for path in venue.asked) == 1
    assert Quotes.objects.get(market=listed).funding_rate == 0.00012
    assert Quotes.objects.get(market=other).funding_error == "Binance told no mark price of ETH/USDT:USDT."


def test_the_spreads_of_a_page_are_one_request(binance, venue, redis):  # noqa: F811
    services.sync_markets(binance)
    venue.ticker = {"bidPrice": "101.4", "askPrice": "101.6"}
    listed = Market.objects.get()
    gone = Market.objects.create(exchange=binance, symbol="GONE/USDT", base="GONE", quote="USDT", tick="0.01", lot="1")
    ids = [listed.pk, gone.pk]
    assert [services.refresh_listed(ids) for _ in range(2)] == [2, 0]
    (asked,) = [path for path in venue.asked if "ticker" in path]
    assert "BTCUSDT" in asked
    told = Quotes.objects.get(market=listed)
    assert (told.bid, told.ask) == (101.4, 101.6)
    listed.refresh_from_db()
    assert listed.last > 0
    assert Quotes.objects.get(market=gone).bid is None
    venue.instead = (502, b"<html>bad gateway</html>", {})
    later()
    assert services.refresh_listed(ids) == 2
    kept = Quotes.objects.get(market=listed)
    assert (kept.bid, kept.ask, kept.spread_at) == (told.bid, told.ask, told.spread_at)
    assert services.refresh_listed(ids) == 0


def test_all_simulated_markets_have_a_spread(simulated):
    ids = [market.pk for market in simulated.values()]
    assert services.refresh_listed(ids) == len(ids)
    assert Quotes.objects.filter(bid__lt=F("ask")).count() == len(ids)


def test_two_pages_of_as_many_markets_are_asked_for_each(simulated, redis):
    """The first of them and their number were the same, and the second page was not asked for."""
    first, second, third = sorted(simulated.values(), key=lambda market: market.pk)[:3]
    quotes.ask_listed([first, second])
    quotes.ask_listed([first, third])
    assert sorted(ids for _, (ids,) in jobs(redis)) == [[first.pk, second.pk], [first.pk, third.pk]]


def test_a_moment_that_no_calendar_has_is_not_kept():
    price = MarkPrice(SWAP, 0, 1.0, None, 0.0001, 2**80)
    assert quotes._funding_said(price, timezone.now())["funding_due"] is None


def test_however_many_look_a_worker_is_asked_once(simulated, redis):
    market = simulated[SWAP]
    for _ in range(5):
        quotes.ask(market.pk)
        quotes.ask_listed([market])
    assert sorted(jobs(redis)) == [(quotes.LISTED_TASK, [[market.pk]]), (quotes.TASK, [market.pk])]


def test_nobody_is_asked_for_an_exchange_of_files(market, redis):
    market.exchange.ccxt_id = "file"
    market.exchange.save()
    assert not services.refresh_quotes(market.pk)
    assert not services.refresh_listed([market.pk])
    quotes.ask_listed([market])
    assert not list(jobs(redis))
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
