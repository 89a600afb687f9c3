"""A real Redis that hangs, dies and comes back."""

from __future__ import annotations

import itertools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from orchestrator.cache import TICKER, Cache, Unreachable, link
from orchestrator.cache.link import USUAL_SECONDS
from orchestrator.cache.local import Memory
from tests.orchestrator.processes import until
from tests.orchestrator.redis_server import FAULTS, Server


@pytest.fixture
def cache(server):
    one = Cache(server.url)
    yield one
    one.store.flush()  # what is left would be sent after the server's end


@pytest.fixture
def other(server):
    one = Cache(server.url)
    yield one
    one.store.flush()


@pytest.fixture
def counted():
    numbers = itertools.count(1)
    return lambda: next(numbers)


def back(cache):
    until(lambda: cache.store.link.outage is None, 10, "Redis counts as back")


@pytest.mark.parametrize("fail", FAULTS)
def test_values_go_on_and_one_reader_at_most_waits(counted, server, fail, monkeypatch):
    # So long that no other delay of a busy machine is mistaken for it.
    monkeypatch.setattr(link, "LAST_SECONDS", 3.0)
    cache = Cache(server.url)
    cache.fetch(TICKER, "BTC", 1, counted)
    end = fail(server)
    taken = []

    def read(number):
        began = time.perf_counter()
        value = cache.fetch(TICKER, f"BTC {number % 3}", 1, counted)
        taken.append(time.perf_counter() - began)
        return value

    try:
        with ThreadPoolExecutor(6) as pool:
            values = list(pool.map(read, range(300)))
    finally:
        end()
    back(cache)
    cache.store.flush()
    assert len(set(values)) == 3
    assert sum(seconds > 2.0 for seconds in taken) == (fail is Server.hang)


@pytest.mark.parametrize("fail", FAULTS)
def test_sharing_is_restored_and_nothing_of_the_outage_is_served(cache, other, counted, server, fail):
    end = fail(server)
    try:
        assert [one.fetch(TICKER, "BTC", 1, counted) for one in (cache, other, cache, other)] == [1, 2, 1, 2]
        with pytest.raises(Unreachable):
            cache.store.drop(TICKER)
        assert cache.fetch(TICKER, "BTC", 1, counted) == 3
    finally:
        end()
    back(cache)
    back(other)
    assert [one.fetch(TICKER, "BTC", 1, counted) for one in (cache, other)] == [4, 4]


def test_a_reader_who_waits_for_another_process_goes_on_when_redis_dies(cache, other, counted, server):
    started, told = Event(), Event()

    def compute():
        started.set()
        assert told.wait(10)
        return "late"

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(other.fetch, TICKER, "BTC", 1, compute)
        assert started.wait(10)
        server.kill()
        assert cache.fetch(TICKER, "BTC", 1, counted) == 1
        told.set()
        assert slow.result() == "late"


def test_an_outage_is_told_once_and_written_down(cache, counted, server, caplog):
    caplog.set_level(logging.INFO)
    server.kill()
    for version in range(50):
        cache.fetch(TICKER, "BTC", version, counted)
    server.start()
    back(cache)
    gone, returned = caplog.records
    assert "this process caches in its own memory" in gone.getMessage()
    assert "the cache is shared again" in returned.getMessage()
    (past,) = cache.store.outages()
    assert past["seconds"] > 0
    assert past["reason"].startswith("ConnectionError: ")


def test_a_redis_that_refuses_writes_is_as_good_as_none(cache, counted, raw):
    raw.config_set("maxmemory", 1)
    assert [cache.fetch(TICKER, "BTC", 1, counted) for _ in range(2)] == [1, 1]
    assert "OOM" in cache.store.link.outage.reason
    raw.config_set("maxmemory", 0)
    back(cache)


def test_a_redis_that_was_only_busy_is_no_outage(cache, counted, raw):
    cache.fetch(TICKER, "BTC", 1, counted)
    raw.client_pause(int(2000 * USUAL_SECONDS))
    began = time.perf_counter()
    assert cache.fetch(TICKER, "BTC", 1, counted) == 1
    assert time.perf_counter() - began > USUAL_SECONDS
    assert cache.store.link.outage is None


def test_memory_is_bounded_and_keeps_what_was_used_last():
    memory = Memory(size=30)
    for name in ("a", "b", "c"):
        memory.write("ticker", {name: b"x" * 10})
    memory.read("ticker", ["a"])
    memory.write("ticker", {"d": b"x" * 10, "too long": b"x" * 31})
    assert sorted(memory.read("ticker", ["a", "b", "c", "d", "too long"]).values) == ["a", "c", "d"]


def test_connections_that_are_closed_as_nobody_used_them_are_no_outage(cache, raw, caplog):
    """As a Redis with a timeout does, or what lies between: again and again."""
    for number in range(4):
        cache.store.link.ask("SET", "asked", str(number))
        assert cache.store.link.ask("GET", "asked") == b"%d" % number
        assert raw.client_kill_filter(_type="normal", skipme=True) > 0
    assert cache.store.link.ask("GET", "asked") == b"3"
    assert cache.store.link.outage is None
    assert not caplog.records


@pytest.mark.parametrize("fail", FAULTS)
def test_a_connection_that_is_kept_never_gives_the_answer_to_an_earlier_question(cache, server, fail):
    ask = cache.store.link.ask
    ask("SET", "earlier", "old")
    assert ask("GET", "earlier") == b"old"
    end = fail(server)
    with pytest.raises(Unreachable):
        ask("GET", "earlier")
    end()
    back(cache)
    ask("SET", "later", "new")
    assert [ask("GET", "later"), ask("MGET", "none", "later")] == [b"new", [None, b"new"]]
