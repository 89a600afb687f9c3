from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from dashboard import candle_window
from markets import gaps, services
from markets.models import Exchange, Feed, FundingRate, Market, Quotes
from orchestrator import cache
from tests.dashboard.cast import make_bot, make_market
from tests.markets.following import jobs


def test_the_list_shows_price_change_feeds_and_own_bots(page, bot, stranger, market):
    make_bot(stranger, market, name="Not mine")
    text = page("/markets/").text_
    for shown in ("BTC/USDT", "101.25", "+1.25\u202f%", "1,234,567", ">1m<"):
        assert shown in text
    assert f'<a href="/bots/?market={market.pk}">1</a>' in text


def test_without_markets_it_offers_the_next_step(page):
    assert "No markets yet" in page("/markets/").text_


def test_the_list_is_searched_and_sorted_by_the_address(page, market):
    make_market("ETH/USDT", minutes=0)
    assert "BTC/USDT" not in page("/markets/?q=eth").text_
    text = page("/markets/?sort=-symbol").text_
    assert text.index("ETH/USDT") < text.index("BTC/USDT")


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_takes_five_queries_however_many_markets(page, django_assert_num_queries, count):
    for number in range(count):
        make_market(f"C{number}/USDT", minutes=0)
    # session, user, version, markets with exchange and own bots, feeds
    with django_assert_num_queries(5):
        page("/markets/")


def test_a_market_shows_its_price_feeds_rules_and_own_bots(page, bot, market):
    text = page(f"/markets/{market.pk}/").text_
    for shown in ("101.25", "live", "0.0001 BTC", "0.10\u202f%", "Swing grid"):
        assert shown in text


def test_a_failing_feed_says_why(page, market):
    Feed.objects.update(error="429 Too Many Requests")
    text = page(f"/markets/{market.pk}/").text_
    assert "failing" in text
    assert "429 Too Many Requests" in text


def test_what_is_odd_about_the_candles_is_told_beside_their_age_while_it_lasts(page, market):
    notice = {"timeframe": 60, "first_time": 0, "last_time": 1_700_000_040_000, "times_seen": 1}
    market.notices.create(code="price_spike", sentence="The price <moved> +30.0% within one candle.", **notice)
    market.notices.create(code="odd_volume", sentence="Long over.", resolved_at=timezone.now(), **notice)
    text = page(f"/markets/{market.pk}/").text_
    assert "The price &lt;moved&gt; +30.0% within one candle." in text
    assert "2023-11-14 22:14" in text
    assert "Long over." not in text


def test_a_market_takes_eight_queries(page, bot, market, django_assert_num_queries):
    # session, user, version, market with exchange, quotes and own bots, feeds, notices, gaps, own bots with figures
    with django_assert_num_queries(8):
        page(f"/markets/{market.pk}/")


def test_the_chart_gets_the_last_closed_candles(page, market, django_assert_num_queries):
    # session, user, market, feeds, candles
    with django_assert_num_queries(5):
        data = page(f"/markets/{market.pk}/chart.json?limit=50").json()
    time = data["candles"]["time"]
    assert len(time) == 50
    assert {later - earlier for earlier, later in itertools.pairwise(time)} == {60}


def test_older_and_newer_candles_are_asked_for_by_time(page, market):
    chart = f"/markets/{market.pk}/chart.json"
    last = page(f"{chart}?limit=10").json()["candles"]["time"]
    older = page(f"{chart}?limit=10&before={last[0] * 1000}").json()["candles"]["time"]
    newer = page(f"{chart}?limit=10&after={last[-2] * 1000}").json()["candles"]["time"]
    assert older[-1] == last[0] - 60
    assert newer == last[-2:]


def test_longer_timeframes_are_made_of_the_stored_ones(page, market):
    minutes = page(f"/markets/{market.pk}/chart.json?limit=300").json()["candles"]
    data = page(f"/markets/{market.pk}/chart.json?timeframe=15m&limit=10").json()["candles"]
    assert len(data["time"]) == 10
    first = minutes["time"].index(data["time"][0])
    assert data["high"][0] == max(minutes["high"][first : first + 15])


def test_candles_made_of_more_than_may_be_read_are_read_once(market, monkeypatch, django_assert_num_queries):
    whole = candle_window.load(market.pk, 900, [60], None, 50)
    monkeypatch.setattr(candle_window, "MOST_READ", 90)
    monkeypatch.setattr(candle_window, "FEW_READ", 10)
    with django_assert_num_queries(2):
        part = candle_window.load(market.pk, 900, [60], None, 50)
    assert 5 <= len(part) <= 6
    assert part.time.tolist() == whole.time[-len(part) :].tolist()
    assert part.high.tolist() == whole.high[-len(part) :].tolist()


def test_an_indicator_does_not_depend_on_where_its_window_starts(page, market):
    chart = f"/markets/{market.pk}/chart.json?indicators=sma,bollinger"
    short, long = page(f"{chart}&limit=20").json(), page(f"{chart}&limit=200").json()
    assert short["indicators"]["sma"]["sma"] == pytest.approx(long["indicators"]["sma"]["sma"][-20:])
    assert set(short["indicators"]["bollinger"]) == {"upper", "middle", "lower"}


def test_a_market_without_candles_gives_empty_columns(page):
    market = make_market("NEW/USDT", minutes=0)
    data = page(f"/markets/{market.pk}/chart.json?indicators=rsi&timeframe=1h").json()
    assert data["candles"]["time"] == []
    assert data["indicators"] == {"rsi": {"rsi": []}}


def test_the_table_of_candles_needs_no_script(page, market, django_assert_num_queries):
    # session, user, market with exchange, feeds, candles
    with django_assert_num_queries(5):
        text = page(f"/markets/{market.pk}/candles/").text_
    assert text.count("<tr>") == 101
    assert "before=" in text


def test_the_chart_reads_what_the_worker_kept(page, market):
    """A marked value under the last candle's key in the cache comes out on the chart."""
    chart = f"/markets/{market.pk}/chart.json?limit=5&indicators=sma"
    last = page(chart).json()["candles"]["time"][-1] * 1000
    cache.keep(cache.INDICATORS, {(f"{market.pk}:60:sma", last): {"sma": np.arange(1000.0)}})
    assert page(chart).json()["indicators"]["sma"]["sma"] == [995.0, 996.0, 997.0, 998.0, 999.0]


def test_a_watched_market_is_on_the_watchlist_until_it_is_taken_off(page, client, market):
    make_market("ETH/USDT", minutes=0)
    assert "Nothing on your watchlist" in page("/markets/?watched=1").text_
    for _ in range(2):
        answer = client.post(f"/markets/{market.pk}/watch/", {"watched": "1", "back": "?sort=-bots"})
        assert answer.headers["Location"] == "/markets/?sort=-bots"
    text = page("/markets/?watched=1").text_
    assert "BTC/USDT" in text
    assert "ETH/USDT" not in text
    assert 'aria-pressed="true"' in text
    client.post(f"/markets/{market.pk}/watch/", {"watched": "0"})
    assert "Nothing on your watchlist" in page("/markets/?watched=1").text_


def test_a_star_is_answered_with_a_star(page, client, market):
    page("/markets/")
    answer = client.post(f"/markets/{market.pk}/watch/", {"watched": "1"}, headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert text.startswith("<button")
    assert 'value="0"' in text


def test_what_another_watches_is_not_on_ones_list(client, owner, stranger, market):
    client.force_login(stranger)
    client.post(f"/markets/{market.pk}/watch/", {"watched": "1"})
    assert 'aria-pressed="true"' in client.get("/markets/").content.decode()
    client.force_login(owner)
    assert 'aria-pressed="true"' not in client.get("/markets/").content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "\0", "?q=%0d%0aX: y"])
def test_the_way_back_leads_to_the_markets_alone(page, client, market, back):
    page("/markets/")
    answer = client.post(f"/markets/{market.pk}/watch/", {"back": back})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/markets/?")


def test_a_market_that_is_not_there_cannot_be_watched(page, client, market):
    page("/markets/")
    assert client.post(f"/markets/{market.pk + 999}/watch/", {"watched": "1"}).status_code == 404
    assert client.get(f"/markets/{market.pk}/watch/").status_code == 405


@pytest.fixture
def swap(db):
    """A swap with an order book and a funding rate."""
    market = make_market("ETH/USDT", minutes=0)
    Market.objects.filter(pk=market.pk).update(symbol="ETH/USDT:USDT", type="swap")
    now = timezone.now()
    Quotes.objects.create(
        market=market, bids=[[100.0, 1.0], [99.5, 3.0]], asks=[[100.02, 2.0]], book_at=now, book_asked_at=now,
        bid=100.0, ask=100.02, spread_at=now, spread_asked_at=now,
        mark_price=100.01, index_price=100.0, funding_rate=0.0001, funding_at=now, funding_asked_at=now,
        funding_due=int((now + timedelta(hours=3, minutes=20, seconds=30)).timestamp() * 1000),
    )  # fmt: skip
    return market


def test_a_market_shows_its_order_book_and_funding_with_their_age(page, swap):
    text = page(f"/markets/{swap.pk}/").text_
    for shown in ("100.010", "0.02 (2.00\u202fbps)", "99.50", "3.0000", "4.0000", 'width="25.0"', 'width="100.0"'):
        assert shown in text
    for shown in ("0.0100\u202f%", "10.95\u202f%", "in 3 h 20 min", "100.01 USDT", "just now"):
        assert shown in text
    assert ">stale<" not in text
    assert "style=" not in text.partition('id="market-quotes"')[2].partition('id="market-bots"')[0]


def test_what_is_late_is_shown_as_stale_with_the_sentence_of_the_failure(page, swap, django_assert_num_queries):
    old = timezone.now() - timedelta(minutes=11)
    error = "Binance did not answer in time: <b>.</b>"
    Quotes.objects.update(book_at=old, book_error=error, funding_at=old, funding_error=error)
    text = page(f"/markets/{swap.pk}/").text_
    assert text.count(">stale<") == 2
    assert text.count("&lt;b&gt;") == 2
    assert "11 min ago" in text
    assert "It is asked again while this page is open" in text


def test_the_interval_of_the_funding_is_read_off_its_moments(page, swap):
    hour = 3_600_000
    due = Quotes.objects.get().funding_due // 60_000 * 60_000
    Quotes.objects.update(funding_due=due)
    FundingRate.objects.create(market=swap, time=due - 4 * hour, rate=-0.0002)
    text = page(f"/markets/{swap.pk}/").text_
    assert "21.90\u202f%" in text  # 0.01 % every four hours
    assert "−0.0200\u202f%" in text


def test_an_exchange_that_has_told_nothing_yet_is_asked(page, market, redis):
    text = page(f"/markets/{market.pk}/").text_
    assert "The order book is being fetched" in text
    assert "Funding" not in text
    page(f"/markets/{market.pk}/")
    assert list(jobs(redis)) == [("markets.tasks.refresh_quotes", [market.pk])]


def test_a_book_that_is_missing_or_old_is_asked_for_soon(page, market, swap):
    assert 'data-soon="2"' in page(f"/markets/{market.pk}/").text_
    Quotes.objects.update(book_at=timezone.now())
    fresh = page(f"/markets/{swap.pk}/").text_
    assert "data-soon" not in fresh
    assert fresh.index("Funding") < fresh.index("Order book")  # beside the chart, with the rules


def test_what_is_known_from_files_says_that_nobody_can_be_asked(page, market):
    Exchange.objects.update(ccxt_id="file")
    assert "known from imported files alone" in page(f"/markets/{market.pk}/").text_


def test_a_page_that_is_kept_follows_its_quotes(page, swap, one_minute):
    first = page(f"/markets/{swap.pk}/").headers["ETag"]
    Quotes.objects.update(mark_price=123.45)
    answer = page(f"/markets/{swap.pk}/", **{"If-None-Match": first})
    assert answer.status_code == 200
    assert "123.45 USDT" in answer.text_


def test_the_list_shows_spread_and_funding_and_asks_for_what_is_due(page, swap, market, redis):
    text = page("/markets/").text_
    assert "2.00\u202fbps" in text
    assert "0.0100\u202f%" in text
    assert list(jobs(redis)) == [("markets.tasks.refresh_listed", [[market.pk]])]
    Quotes.objects.update(funding_asked_at=timezone.now() - timedelta(minutes=6))
    page("/markets/?sort=symbol")
    ((_, (ids,)),) = jobs(redis)
    assert sorted(ids) == sorted([swap.pk, market.pk])
    services.refresh_listed(ids)
    assert page("/markets/").text_.count("\u202fbps") == 2


def test_a_price_that_no_feed_keeps_up_to_date_is_stale(page, market):
    assert ">stale<" not in page("/markets/").text_
    Market.objects.update(last_at=timezone.now() - timedelta(minutes=6))
    for path in ("/markets/", f"/markets/{market.pk}/"):
        assert "Nothing newer came with the 1m candles." in page(path).text_
    Feed.objects.update(error="503 Service Unavailable")
    assert 'title="503 Service Unavailable">stale<' in page("/markets/").text_
    Feed.objects.all().delete()
    assert "No feed keeps this price up to date." in page("/markets/").text_


def test_candles_that_the_exchange_has_none_of_are_told_beside_their_feed(page, market):
    gaps.declare(market.pk, 60, [(0, 600_000), (1_700_000_040_000, 1_700_000_100_000)])
    gaps.declare(market.pk, 300, [(0, 600_000)])
    text = page(f"/markets/{market.pk}/").text_
    assert "The exchange has no 11 candles in 2 gaps, the last from 2023-11-14 22:14 UTC." in text
