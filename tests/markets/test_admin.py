from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.sites import site
from django.utils.formats import date_format

from markets import services
from markets.models import Candle, CandleGap, Exchange, Feed, FeedNotice, Market


@pytest.fixture
def browser(settings, admin_client):
    """A logged-in administrator; static files are not what these tests are about."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return admin_client


@pytest.fixture
def full(exchange):
    services.sync_markets(exchange)
    Feed.objects.bulk_create(Feed(market=market, timeframe=60) for market in Market.objects.all())


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("exchange/", "1 exchange"),
        ("market/?q=BTC", "BTC/USDT"),
        ("market/?exchange__id__exact=0", "24 markets"),
        ("feed/?error__isempty=1", "24 feeds"),
        ("feed/?market__exchange__id__exact=0", "24 feeds"),
        ("feed/add/", "keep_days"),
        ("market/add/", "min_cost"),
        ("exchange/add/", "ccxt_config"),
        ("candlegap/?market__exchange__id__exact=0", "0 candle gaps"),
        ("feednotice/?resolved_at__isempty=1", "0 feed notices"),
    ],
)
def test_pages_answer_with_a_fixed_number_of_queries(browser, page, text, django_assert_max_num_queries):
    # session, user, savepoints; count twice, rows, and one a filter by relation
    with django_assert_max_num_queries(9):
        response = browser.get(f"/admin/markets/{page}")
    assert response.status_code == 200
    assert text in response.content.decode()


@pytest.mark.usefixtures("full")
def test_steps_are_shown_without_idle_zeros(browser):
    page = browser.get("/admin/markets/market/?q=PEPE").content.decode()
    assert '<td class="field-tick_text">0.000000001</td>' in page
    assert '<td class="field-lot_text">1000</td>' in page


def test_what_the_worker_writes_cannot_be_edited(browser, market):
    feed = Feed.objects.create(market=market, timeframe=60)
    services.sync()
    browser.post(
        f"/admin/markets/feed/{feed.pk}/change/",
        {"market": market.pk, "timeframe": 60, "enabled": "on", "keep_days": 7, "synced_to": 1, "error": "mine"},
    )
    feed.refresh_from_db()
    assert (feed.keep_days, feed.error) == (7, "")
    assert feed.synced_to > 1
    assert not site.is_registered(Candle)


def test_the_list_of_markets_is_loaded_from_the_list_of_exchanges(browser, exchange):
    page = browser.post(
        "/admin/markets/exchange/", {"action": "load_markets", "_selected_action": [exchange.pk]}, follow=True
    )
    assert "Test: 24 markets." in page.content.decode()
    Exchange.objects.update(ccxt_id="nowhere")
    page = browser.post(
        "/admin/markets/exchange/", {"action": "load_markets", "_selected_action": [exchange.pk]}, follow=True
    )
    assert "There is no exchange" in page.content.decode()
    assert Market.objects.filter(exchange=exchange).count() == 24


@pytest.mark.parametrize(
    ("ccxt_id", "config", "sentence"),
    [
        ("nowhere", "{}", "There is no exchange &#x27;nowhere&#x27; in ccxt."),
        ("kraken", "[1]", "ccxt_config of New must be a JSON object, not [1]."),
        ("kraken", '{"secret": "s"}', "ccxt_config of New must not hold secret"),
        ("simulated", '{"seed": "many"}', "must hold whole numbers seed and anchor_ms"),
    ],
)
def test_an_exchange_that_could_not_be_connected_to_is_not_stored(browser, ccxt_id, config, sentence):
    form = {"name": "New", "slug": "new", "ccxt_id": ccxt_id, "ccxt_config": config, "enabled": "on"}
    assert sentence in browser.post("/admin/markets/exchange/add/", form).content.decode()
    assert not Exchange.objects.exists()
    browser.post("/admin/markets/exchange/add/", form | {"ccxt_id": "kraken", "ccxt_config": '{"timeout": 5000}'})
    assert Exchange.objects.get().ccxt_config == {"timeout": 5000}


def test_a_declared_gap_is_shown_and_can_only_be_forgotten(browser, market):
    gap = CandleGap.objects.create(market=market, timeframe=60, start=1_760_000_040_000, end=1_760_000_340_000)
    page = browser.get("/admin/markets/candlegap/").content.decode()
    assert '<td class="field-candles">5</td>' in page
    assert browser.get("/admin/markets/candlegap/add/").status_code == 403
    browser.post(f"/admin/markets/candlegap/{gap.pk}/change/", {"start": 1})
    gap.refresh_from_db()
    assert gap.start == 1_760_000_040_000
    browser.post(f"/admin/markets/candlegap/{gap.pk}/delete/", {"post": "yes"})
    assert not CandleGap.objects.exists()


def test_a_feed_says_how_far_it_reaches_both_ways(browser, market):
    services.sync_markets(market.exchange)
    Feed.objects.create(market=market, timeframe=60)
    services.sync()
    page = browser.get("/admin/markets/feed/").content.decode()
    first = Feed.objects.with_synced_from().get().synced_from
    assert first == Candle.objects.order_by("time").first().time
    cells = re.findall(r'<td class="field-(begins|synced) nowrap">([^<]+)</td>', page)
    synced_to = Feed.objects.get().synced_to
    assert cells == [
        ("begins", date_format(datetime.fromtimestamp(first / 1000, UTC), "DATETIME_FORMAT")),
        ("synced", date_format(datetime.fromtimestamp(synced_to / 1000, UTC), "DATETIME_FORMAT")),
    ]


def test_notices_are_shown_to_be_read_and_go_with_their_market(browser, market):
    notice = FeedNotice.objects.create(
        market=market, timeframe=60, code="odd_volume", sentence="The volume is odd.",
        first_time=0, last_time=0, times_seen=1,
    )  # fmt: skip
    assert "The volume is odd." in browser.get("/admin/markets/feednotice/").content.decode()
    assert browser.get("/admin/markets/feednotice/add/").status_code == 403
    assert browser.post(f"/admin/markets/feednotice/{notice.pk}/change/", {"sentence": "Fine."}).status_code == 403
    browser.post(f"/admin/markets/market/{market.pk}/delete/", {"post": "yes"})
    assert not FeedNotice.objects.exists()
    assert not Market.objects.filter(pk=market.pk).exists()
