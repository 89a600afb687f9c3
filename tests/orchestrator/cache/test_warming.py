from __future__ import annotations

import pytest

from orchestrator.cache import Cache, Policy, Source
from orchestrator.cache.counts import hottest
from orchestrator.cache.warming import warm

SOON = Policy("soon", 60, "About to expire.")


@pytest.fixture
def asked():
    return []


@pytest.fixture
def source(asked):
    """Of upper case letters in their second version; there is no x any more."""

    def compute(keys):
        asked.extend(keys)
        return {key: key.upper() for key in keys}

    return Source(SOON, lambda keys: {key: 2 for key in keys if key != "x"}, compute)


def read(cache, *keys, version=1):
    for key in keys:
        cache.fetch(SOON, key, version, lambda: "read")
    cache.store.flush()


def test_hot_entries_of_a_new_version_are_there_before_they_are_asked_for(cache, source, asked):
    read(cache, "hot", "hot", "cold", "x", "x")
    assert warm(cache, source) == 1
    assert asked == ["hot"]
    assert cache.fetch(SOON, "hot", 2, lambda: "too late") == "HOT"


def test_fresh_entries_are_left_alone_and_those_about_to_expire_are_not(cache, source, asked, monkeypatch):
    read(cache, "hot", "hot", "hot", version=2)
    assert warm(cache, source) == 0
    monkeypatch.setattr("orchestrator.cache.warming.EARLY_SECONDS", 100)
    assert warm(cache, Source(Policy("soon", 140, ""), source.versions, source.compute)) == 1
    assert asked == ["hot"]


def test_what_is_no_longer_read_is_forgotten(cache, source, redis):
    read(cache, "hot", "hot", "cold")
    for _ in range(60):
        warm(cache, source)
    assert hottest(redis, "soon", 10) == {}


def test_nothing_is_warmed_without_redis(server, source, asked):
    cache = Cache(server.url)
    server.kill()
    assert warm(cache, source) == 0
    assert asked == []
    server.start()
