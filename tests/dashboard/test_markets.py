from __future__ import annotations

import itertools

import numpy as np
import pytest
from django.utils import timezone

from markets.models import Feed
from orchestrator import cache
from tests.dashboard.cast import make_bot, make_market


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


def test_a_market_takes_seven_queries(page, bot, market, django_assert_num_queries):
    # session, user, version, market with exchange and own bots, feeds, their notices, own bots with figures
    with django_assert_num_queries(7):
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
