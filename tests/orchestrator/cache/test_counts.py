from __future__ import annotations

import pytest

from orchestrator.cache import PORTFOLIO, TICKER, Cache, Policy
from orchestrator.cache.counts import Counts, bucket, bucket_ms, figures, hottest, send
from tests.orchestrator.processes import until

AT_ONCE = Policy("at_once", 0, "Expired as soon as it is kept.", grace=60)


def counted(*caches):
    for one in caches:
        one.store.flush()
    return caches[0].store.link.run(lambda redis: figures(redis, ["ticker", "portfolio", "at_once"]))


def test_hits_and_misses_of_all_processes_are_counted_together(cache, other):
    for one in (cache, other, other):
        one.fetch_many(TICKER, {"BTC": 1, "ETH": 1}, lambda keys: dict.fromkeys(keys, 1.0))
    found = counted(cache, other)
    assert (found["ticker"].hits, found["ticker"].misses, found["ticker"].local) == (4, 2, 0)
    assert found["ticker"].hit_rate == pytest.approx(2 / 3)
    assert found["portfolio"].hit_rate is None
    assert found["portfolio"].read_ms == {}


def test_reading_and_filling_have_percentiles_of_their_own(cache):
    for version in (1, 1, 2):
        cache.fetch(TICKER, "BTC", version, lambda: 1.0)
    found = counted(cache)["ticker"]
    for times in (found.read_ms, found.fill_ms):
        assert list(times) == [50, 95, 99]
        assert 0 < times[50] <= times[95] <= times[99]


def test_percentiles_are_those_of_the_buckets(redis):
    counts = Counts()
    for microseconds in range(1, 1001):
        counts.add("ticker", {"hit": 1}, microseconds / 1e6)
    send(redis, *counts.take())
    found = figures(redis, ["ticker"])["ticker"].read_ms
    assert found == pytest.approx({50: 0.5, 95: 0.95, 99: 0.99}, rel=0.1)


@pytest.mark.parametrize("seconds", [1.1e-6, 1e-4, 3e-3, 1.0, 30.0])
def test_a_bucket_is_true_to_nine_percent(seconds):
    assert bucket_ms(bucket(seconds)) == pytest.approx(seconds * 1000, rel=0.0905)


def test_counts_survive_an_outage_and_what_memory_served_is_told(server):
    cache = Cache(server.url)
    server.kill()
    for _ in range(3):
        cache.fetch(TICKER, "BTC", 1, lambda: 1.0)
    cache.store.flush()
    server.start()
    until(lambda: cache.store.link.outage is None, 10, "Redis counts as back")
    found = counted(cache)["ticker"]
    assert (found.hits, found.misses, found.local) == (2, 1, 3)


def test_counts_are_sent_by_themselves_after_an_outage_too(server, raw, monkeypatch):
    monkeypatch.setattr("orchestrator.cache.counts.FLUSH_SECONDS", 0.05)
    cache = Cache(server.url)
    server.kill()
    cache.fetch(TICKER, "BTC", 1, lambda: 1.0)
    cache.store.flush()
    server.start()
    assert until(lambda: figures(raw, ["ticker"])["ticker"].misses, 10, "the counts arrive") == 1


def test_keys_that_are_read_often_are_known(cache, redis):
    for key in ("a", "b", "b"):
        cache.fetch(PORTFOLIO, key, 1, lambda: 1.0)
    cache.store.flush()
    assert hottest(redis, "portfolio", 10) == {"b": 2.0, "a": 1.0}
    assert hottest(redis, "portfolio", 1) == {"b": 2.0}
