"""Indicators of stored candles: read through the cache, computed as candles close."""

from __future__ import annotations

import math
import threading
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from markets import blocks, candles, services, tasks
from markets.blocks import BLOCK
from markets.indicators import INDICATORS
from markets.models import Candle, Feed, IndicatorSnapshot
from markets.series import Candles
from markets.services import snapshots
from markets.windows import MEMORY, Window, Windows
from orchestrator import cache
from orchestrator.celery import app
from orchestrator.tasks import warm_cache
from tests.markets.conftest import made_candles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
SPAN = BLOCK * 60_000
# A block begins after 600 of these candles.
START = 1_700_000_040_000 // SPAN * SPAN + SPAN - 600 * 60_000
ALL = made_candles(3000, START)
NAMES = list(INDICATORS)


@pytest.fixture
def feed(market):
    """Of a market with 1500 candles."""
    candles.upsert(market.pk, 60, ALL[:1500])
    return Feed.objects.create(market=market, timeframe=60, synced_to=int(ALL.time[1499]))


def close(feed, count, source=ALL):
    """Store the candles up to so many, as a sync does, and compute."""
    candles.upsert(feed.market_id, 60, source[:count])
    Feed.objects.update(synced_to=int(source.time[count - 1]))
    return services.compute_indicators()


def whole(name, count=1500, source=ALL):
    """Output -> the values of all candles."""
    return blocks.columns(name, INDICATORS[name].defaults, source[:count], 60, 60)


def latest(name, count, source=ALL):
    values = {output: float(column[-1]) for output, column in whole(name, count, source).items()}
    return {output: None if math.isnan(value) else value for output, value in values.items()}


def stored():
    return dict(IndicatorSnapshot.objects.values_list("name", "values"))


def test_columns_are_those_of_a_backtest(market, feed):
    found = services.indicator_columns(market, 60, NAMES, 300)
    for name, outputs in found.items():
        assert outputs == {output: column[-300:].tolist() for output, column in whole(name).items()}


def test_warm_up_is_null(market):
    candles.upsert(market.pk, 60, made_candles(30))
    found = services.indicator_columns(market, 60, ["sma"], 100)["sma"]["sma"]
    assert len(found) == 30
    assert found[:19] == [None] * 19
    assert all(math.isfinite(value) for value in found[19:])


def test_warm_columns_cost_one_query_and_a_new_candle_replaces_them(market, feed, django_assert_num_queries):
    cold = services.indicator_columns(market, 60, NAMES, 300)
    with django_assert_num_queries(1):  # open time of the last candle
        assert services.indicator_columns(market, 60, NAMES, 300) == cold
    close(feed, 1501)
    assert services.indicator_columns(market, 60, NAMES, 300) != cold


def test_a_long_window_is_computed_whole(market, feed):
    found = services.indicator_columns(market, 60, ["rsi"], 1500)["rsi"]["rsi"]
    assert len(found) == 1500
    assert found[:14] == [None] * 14


def test_a_page_does_not_break_while_the_cache_is_down(market, feed, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = services.indicator_columns(market, 60, ["sma"], 10)
    assert found["sma"]["sma"] == whole("sma")["sma"][-10:].tolist()


def test_no_candles_and_no_such_indicator(market):
    assert services.indicator_columns(market, 60, ["sma"], 10) == {"sma": {"sma": []}}
    with pytest.raises(ValueError, match="indicator must be one of"):
        services.indicator_columns(market, 60, ["vibes"], 10)


def test_snapshots_follow_the_last_candle(feed):
    assert (services.compute_indicators(), services.compute_indicators()) == (1, 0)
    assert stored() == {name: latest(name, 1500) for name in NAMES}
    assert close(feed, 1502) == 1
    assert stored() == {name: latest(name, 1502) for name in NAMES}
    assert set(IndicatorSnapshot.objects.values_list("time", flat=True)) == {int(ALL.time[1501])}


def test_a_market_without_candles_has_no_snapshots(market):
    Feed.objects.create(market=market, timeframe=60, synced_to=0)
    assert services.compute_indicators() == 0
    assert stored() == {}


@examples(max_examples=15)
@given(steps=st.lists(st.integers(1, 400), min_size=1, max_size=8), holes=st.sets(st.integers(0, 2999), max_size=300))
def test_candle_by_candle_gives_the_bits_of_all_at_once(steps, holes):
    keep = np.array([row not in holes for row in range(3000)])
    source = Candles(*(getattr(ALL, name)[keep] for name in ("time", "open", "high", "low", "close", "volume")))
    count = 300
    window = Window((0, 60), source[:count])
    for step in steps:
        before, count = count, min(count + step, len(source))
        assert window.extend(source[before - 3 : count])
        window.trim()
        if count > before:
            for name in NAMES:
                values = window.values(name)
                for output, column in whole(name, count, source).items():
                    assert values[output].tobytes() == column[before:].tobytes()


def test_a_window_keeps_the_block_under_way_and_its_lead():
    long = made_candles(BLOCK + 2000, START - 1400 * 60_000)
    window = Window((0, 60), long)
    window.trim()
    begin = START + 600 * 60_000
    assert begin <= window.last < begin + SPAN
    assert window.candles.time[0] == begin - MEMORY * 60_000
    assert window.values("ema")["ema"].tolist() == [whole("ema", len(long), long)["ema"][-1]]


def test_a_worker_that_starts_reads_a_shard_in_a_fixed_number_of_queries(feed, other_market, django_assert_num_queries):
    candles.upsert(other_market.pk, 300, made_candles(150, timeframe=300))
    series = [(feed.market_id, 60), (other_market.pk, 300), (other_market.pk, 60)]
    # Last open times; candles; that their reading is not compiled.
    with django_assert_num_queries(3):
        found = Windows().advance(series, 1)
    assert [(window.series, len(window.candles)) for window in found] == [(series[0], 1500), (series[1], 150)]


def test_only_new_candles_are_read_when_one_closes(feed):
    """What was read before may be gone from the table."""
    services.compute_indicators()
    Candle.objects.filter(time__lt=ALL.time[1490]).delete()
    close_one = ALL[1490:1501]
    candles.upsert(feed.market_id, 60, close_one)
    Feed.objects.update(synced_to=int(ALL.time[1500]))
    services.compute_indicators()
    assert stored() == {name: latest(name, 1501) for name in NAMES}


def revised(row):
    """All candles, one with another close."""
    source = Candles(*(getattr(ALL, name).copy() for name in ("time", "open", "high", "low", "close", "volume")))
    source.close[row] = source.low[row]
    return source


def test_a_revised_last_candle_is_seen_with_the_next_one(feed):
    services.compute_indicators()
    source = revised(1499)
    close(feed, 1501, source)
    assert stored() == {name: latest(name, 1501, source) for name in NAMES}


def test_a_refresh_by_hand_reads_and_computes_all_anew(market, feed):
    services.compute_indicators()
    services.indicator_columns(market, 60, ["sma"], 100)
    source = revised(1485)
    candles.upsert(market.pk, 60, source[:1500])
    assert services.recompute_indicators([feed.pk]) == 1
    assert stored() == {name: latest(name, 1500, source) for name in NAMES}
    found = services.indicator_columns(market, 60, ["sma"], 100)["sma"]["sma"]
    assert found == whole("sma", 1500, source)["sma"][-100:].tolist()
    # Workers do not go on with what they had read before.
    close(feed, 1501, source)
    assert stored() == {name: latest(name, 1501, source) for name in NAMES}


def test_the_command_refreshes_what_was_chosen(market, feed):
    out = StringIO()
    call_command("compute_indicators", exchange="test", market="BTC/USDT", timeframe="1m", stdout=out)
    assert out.getvalue() == "Indicators of 1 feeds are computed.\n"
    assert stored() == {name: latest(name, 1500) for name in NAMES}
    with pytest.raises(CommandError, match="No feed matches"):
        call_command("compute_indicators", market="XAU/USDT")


def test_the_admin_refreshes_the_feeds_that_were_chosen(admin_client, feed):
    form = {"action": "recompute", "_selected_action": [feed.pk]}
    answer = admin_client.post("/admin/markets/feed/", form, follow=True)
    assert "Indicators of 1 feeds are computed." in answer.content.decode()
    assert stored() == {name: latest(name, 1500) for name in NAMES}


def test_what_is_read_often_is_there_before_it_is_asked_for(market, feed):
    for _ in range(3):
        services.indicator_columns(market, 60, ["sma", "macd"], 100)
    cache.of_this_process().store.flush()
    for count in (1501, 1502):
        close(feed, count)
        key, last = f"{market.pk}:60:macd", int(ALL.time[count - 1])
        found = cache.fetch(cache.INDICATORS, key, last, lambda: None)
        assert {output: column.tolist() for output, column in found.items()} == {
            output: column[-1000:].tolist() for output, column in whole("macd", count).items()
        }
        assert cache.fetch(cache.INDICATORS, f"{market.pk}:60:rsi", last, lambda: None) is None


def test_what_is_read_often_is_renewed_before_it_expires(market, feed):
    for _ in range(3):
        services.indicator_columns(market, 60, ["sma"], 100)
    cache.of_this_process().store.flush()
    assert warm_cache() == 0
    cache.drop(cache.INDICATORS)
    assert warm_cache() == 1
    found = cache.fetch(cache.INDICATORS, f"{market.pk}:60:sma", int(ALL.time[1499]), lambda: None)
    assert found["sma"].tolist() == whole("sma")["sma"][-1000:].tolist()


@pytest.mark.django_db(transaction=True)
def test_work_is_cut_in_shards_and_each_feed_is_in_one(market, other_market, monkeypatch):
    monkeypatch.setattr(snapshots, "SHARD", 2)
    monkeypatch.setitem(app.conf, "task_always_eager", True)
    for one in (market, other_market):
        for timeframe in (60, 300):
            candles.upsert(one.pk, timeframe, made_candles(150, timeframe=timeframe))
            Feed.objects.create(
                market=one, timeframe=timeframe, synced_to=made_candles(150, timeframe=timeframe).time[-1]
            )
    shards = services.stale_shards()
    assert [len(shard) for shard in shards] == [2, 2]
    tasks.compute_indicators()
    assert services.stale_shards() == []
    assert IndicatorSnapshot.objects.count() == 4 * len(NAMES)


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_another_worker_is_at_is_left_to_it(market):
    candles.upsert(market.pk, 60, ALL[:200])
    Feed.objects.create(market=market, timeframe=60, synced_to=int(ALL.time[199]))
    found = []

    def elsewhere():
        found.append(services.compute_indicators())
        connection.close()

    with transaction.atomic():
        found.append(services.compute_indicators())
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
    assert found == [1, 0]


def test_windows_are_read_anew_when_the_policy_is_dropped(feed):
    windows, series = Windows(), (feed.market_id, 60)
    windows.keep(windows.advance([series], 1))
    Candle.objects.filter(time__lt=ALL.time[1400]).delete()
    assert len(windows.advance([series], 1)[0].candles) == 1500
    assert len(windows.advance([series], 2)[0].candles) == 100
