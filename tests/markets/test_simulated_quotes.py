from __future__ import annotations

import pytest

from markets.precision import round_to_step
from markets.simulated import FUNDING_MS, LISTINGS, funding_rate
from markets.simulated_quotes import SimulatedQuotes
from markets.surface import GatewayError

NOW = 1_760_000_034_000


@pytest.fixture
def quotes():
    return SimulatedQuotes(42, 0, real_clock=lambda: NOW)


@pytest.mark.parametrize("symbol", ["BTC/USDT", "PEPE/USDT", "ETH/USDT:USDT"])
def test_an_order_book_lies_around_the_price_on_ticks_and_lots(quotes, symbol):
    book = quotes.fetch_order_book(symbol, 20)
    last, listing = quotes.fetch_tickers([symbol])[symbol].last, LISTINGS[symbol]
    prices = [price for price, _ in (*book.bids[::-1], *book.asks)]
    assert prices == sorted(set(prices))
    assert book.bids[0][0] < last < book.asks[0][0]
    assert len(book.bids) == len(book.asks) == 20
    for price, amount in (*book.bids, *book.asks):
        assert price == round_to_step(price, float(listing.tick))
        assert amount == round_to_step(amount, float(listing.lot)) > 0
    assert quotes.fetch_order_book(symbol, 20) == book


def test_a_mark_price_comes_with_index_and_the_rate_that_is_due(quotes):
    (price,) = quotes.fetch_mark_prices(["BTC/USDT:USDT"]).values()
    spot = quotes.fetch_tickers(["BTC/USDT"])["BTC/USDT"].last
    due = -(-NOW // FUNDING_MS) * FUNDING_MS
    assert price == ("BTC/USDT:USDT", NOW, spot, spot, funding_rate(42, "BTC/USDT:USDT", due), due)
    with pytest.raises(GatewayError, match="BTC/USDT of the simulated exchange is no swap"):
        quotes.fetch_mark_prices(["BTC/USDT"])
