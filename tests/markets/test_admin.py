from __future__ import annotations

import pytest
from django.contrib.admin.sites import site

from markets import services
from markets.models import Candle, Exchange, Feed, Market


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
