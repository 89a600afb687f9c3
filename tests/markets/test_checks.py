from __future__ import annotations

from django.core import checks

from markets import gateway, services
from markets.checks import check_feeds
from markets.models import Exchange, Feed


def found():
    return [message.id for message in check_feeds(databases=["default"])]


def test_a_feed_is_late_until_it_is_synced_and_again_three_candles_later(market):
    feed = Feed.objects.create(market=market, timeframe=60)
    assert found() == ["markets.W001"]
    services.sync()
    assert found() == []
    now = gateway.connect(market.exchange).now_ms()
    Feed.objects.filter(pk=feed.pk).update(synced_to=now - 5 * 60_000, error="It said no.")
    (warning,) = check_feeds(databases=["default"])
    assert "BTC/USDT on test: the last 1m candle" in warning.msg
    assert "It said no." in warning.msg


def test_disabled_feeds_are_nobody_s_worry(market):
    Feed.objects.create(market=market, timeframe=60, enabled=False)
    assert found() == []


def test_an_exchange_that_cannot_be_connected_is_named(market):
    Feed.objects.create(market=market, timeframe=60)
    Exchange.objects.update(ccxt_id="nowhere")
    assert found() == ["markets.W003"]


def test_the_check_runs_only_when_database_checks_are_asked_for(market):
    Feed.objects.create(market=market, timeframe=60)
    assert "markets.W001" not in [message.id for message in checks.run_checks()]
    assert "markets.W001" in [message.id for message in checks.run_checks(databases=["default"])]
