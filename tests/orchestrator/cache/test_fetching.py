from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from orchestrator.cache import POLICIES, PORTFOLIO, TICKER, Cache, Policy, policy
from orchestrator.cache.fetching import POLL_SECONDS

AT_ONCE = Policy("at_once", 0, "Expired as soon as it is kept.", grace=60)
HASTY = Policy("hasty", 60, "Nobody waits for long.", patience=0.1)


@pytest.fixture
def counted():
    """A function that answers 1, 2, 3 … and how often it was asked."""
    numbers = itertools.count(1)
    return lambda: next(numbers)


def test_the_table_holds_the_times_of_the_design():
    assert {name: one.seconds for name, one in POLICIES.items()} == {
        "exchanges": 3600,
        "markets": 300,
        "candles": 300,
        "funding": 300,
        "indicators": 900,
        "daily_pnl": 900,
        "ticker": 60,
        "performance": 60,
        "order_book": 30,
        "asked": 10,
        "portfolio": 30,
        "pages": 60,
    }
    with pytest.raises(ValueError, match=r"one of exchanges, .* not 'prices'"):
        policy("prices")


def test_a_value_is_computed_once_and_shared(cache, other, counted):
    assert [cache.fetch(TICKER, "BTC", 1, counted), other.fetch(TICKER, "BTC", 1, counted)] == [1, 1]


def test_none_is_a_value(cache, counted):
    cache.fetch(TICKER, "BTC", 1, lambda: None)
    assert cache.fetch(TICKER, "BTC", 1, counted) is None


def test_a_new_version_is_another_entry(cache, counted):
    assert [cache.fetch(TICKER, "BTC", version, counted) for version in (1, 2, 1)] == [1, 2, 1]


def test_keys_and_versions_are_never_mistaken_for_each_other(cache, counted):
    pairs = [("a@1", "2"), ("a", "2"), ("a@", "12"), ("x" * 300, "2"), ("x" * 300 + "y", "2")]
    assert [cache.fetch(TICKER, *pair, counted) for pair in pairs] == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="version must not hold @"):
        cache.fetch(TICKER, "a", "1@2", counted)


def test_a_reader_gets_a_copy_of_its_own(cache):
    column = cache.fetch(TICKER, "column", 1, lambda: np.arange(3.0))
    column[0] = 9.0
    assert cache.fetch(TICKER, "column", 1, lambda: None).tolist() == [0.0, 1.0, 2.0]


def test_only_what_is_missing_is_asked_for_and_what_has_no_value_is_left_out(cache):
    asked = []

    def compute(keys):
        asked.append(sorted(keys))
        return {key: key.upper() for key in keys if key != "c"}

    cache.fetch(TICKER, "a", 1, lambda: "A")
    assert cache.fetch_many(TICKER, dict.fromkeys("abc", 1), compute) == {"a": "A", "b": "B"}
    assert cache.fetch_many(TICKER, dict.fromkeys("abc", 1), compute) == {"a": "A", "b": "B"}
    assert asked == [["b", "c"], ["c"]]
    assert cache.fetch_many(TICKER, {}, compute) == {}


def test_what_was_computed_anyway_can_be_kept(cache, other, counted):
    cache.keep(TICKER, {("BTC", 7): "kept"})
    assert other.fetch(TICKER, "BTC", 7, counted) == "kept"


def test_an_expired_value_is_renewed(cache, counted):
    assert [cache.fetch(AT_ONCE, "BTC", 1, counted) for _ in range(2)] == [1, 2]


def test_dropping_a_policy_holds_for_every_process_and_for_no_other_policy(cache, other, counted):
    for one in (cache, other):
        one.fetch(TICKER, "BTC", 1, counted)
        one.fetch(HASTY, "BTC", 1, counted)
    cache.store.drop(TICKER)
    assert [one.fetch(TICKER, "BTC", 1, counted) for one in (other, cache)] == [3, 3]
    assert other.fetch(HASTY, "BTC", 1, counted) == 2


def test_what_was_being_computed_when_its_policy_was_dropped_is_not_served_later(cache, other, counted):
    def compute():
        other.store.drop(TICKER)
        return "old"

    assert cache.fetch(TICKER, "BTC", 1, compute) == "old"
    assert other.fetch(TICKER, "BTC", 1, counted) == 1


def test_what_fails_is_not_kept_and_the_error_is_the_caller_s(cache, counted):
    with pytest.raises(ZeroDivisionError):
        cache.fetch(TICKER, "BTC", 1, lambda: 1 / 0)
    assert cache.fetch(TICKER, "BTC", 1, counted) == 1


def stampede(caches, policy, counted, readers=8):
    """What readers get who all come at the same moment, while the one who computes takes its time."""
    together, everybody_is_there = Barrier(readers), Event()

    def compute():
        everybody_is_there.wait(5 * POLL_SECONDS)
        return counted()

    def read(one):
        together.wait()
        return one.fetch(policy, "BTC", 1, compute)

    with ThreadPoolExecutor(readers) as pool:
        return list(pool.map(read, itertools.islice(itertools.cycle(caches), readers)))


def test_a_stampede_computes_once_in_a_process_and_over_processes(url, counted):
    assert stampede([Cache(url)], TICKER, counted) == [1] * 8
    assert stampede([Cache(url) for _ in range(4)], PORTFOLIO, counted) == [2] * 8


def test_readers_of_an_expired_value_are_served_it_while_one_renews_it(cache, other, counted):
    cache.keep(AT_ONCE, {("BTC", 1): "old"})
    started, told = Event(), Event()

    def compute():
        started.set()
        assert told.wait(10)
        return "new"

    with ThreadPoolExecutor() as pool:
        renewing = pool.submit(cache.fetch, AT_ONCE, "BTC", 1, compute)
        assert started.wait(10)
        assert [one.fetch(AT_ONCE, "BTC", 1, counted) for one in (cache, other)] == ["old", "old"]
        told.set()
        assert renewing.result() == "new"


@pytest.mark.parametrize("same_process", [True, False])
def test_who_waits_too_long_computes(cache, other, counted, same_process):
    started, told = Event(), Event()

    def compute():
        started.set()
        assert told.wait(10)
        return "late"

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(cache.fetch, HASTY, "BTC", 1, compute)
        assert started.wait(10)
        assert (cache if same_process else other).fetch(HASTY, "BTC", 1, counted) == 1
        told.set()
        assert slow.result() == "late"


def test_those_who_wait_for_a_failure_in_the_same_process_are_told_of_it(cache, counted):
    started, told = Event(), Event()

    def compute():
        started.set()
        assert told.wait(10)
        raise ZeroDivisionError

    with ThreadPoolExecutor() as pool:
        failing = pool.submit(cache.fetch, TICKER, "BTC", 1, compute)
        assert started.wait(10)
        waiting = pool.submit(cache.fetch, TICKER, "BTC", 1, counted)
        told.set()
        with pytest.raises(ZeroDivisionError):
            failing.result()
        # It may have come before or after: then it computed.
        assert isinstance(waiting.exception(), ZeroDivisionError | None)
    assert cache.fetch(TICKER, "BTC", 1, counted) in (1, 2)
