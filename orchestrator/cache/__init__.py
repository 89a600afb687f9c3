"""The cache: `cache.fetch(cache.TICKER, key, version, compute)`. What is cached for how long is in policies.py.

A key names the thing, its version what the value follows from (open time of the last candle, last event of the owner):
whoever writes moves the version on, and old entries are out of reach on every process at once. Values are pickled:
plain ones and numpy arrays, no model instances. Call it outside of a transaction that changed what is computed from.

Redis first; while it does not answer, the process's own memory. Nothing here raises because of Redis, but for what
says so; locks and rate limits must rest on something else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.conf import settings

from orchestrator.cache.entries import Version
from orchestrator.cache.fetching import Cache, Compute
from orchestrator.cache.link import Unreachable
from orchestrator.cache.noticing import Noticed, noticed
from orchestrator.cache.policies import (
    ASKED,
    CANDLES,
    DAILY_PNL,
    EXCHANGES,
    FUNDING,
    INDICATORS,
    MARKETS,
    ORDER_BOOK,
    PAGES,
    PERFORMANCE,
    POLICIES,
    PORTFOLIO,
    TICKER,
    Policy,
    policy,
)
from orchestrator.cache.warming import Source
from orchestrator.cache.warming import read_lately as _read_lately

__all__ = [
    "ASKED",
    "CANDLES",
    "DAILY_PNL",
    "EXCHANGES",
    "FUNDING",
    "INDICATORS",
    "MARKETS",
    "ORDER_BOOK",
    "PAGES",
    "PERFORMANCE",
    "POLICIES",
    "PORTFOLIO",
    "TICKER",
    "Cache",
    "Noticed",
    "Policy",
    "Source",
    "Unreachable",
    "Version",
    "drop",
    "drop_here_and_there",
    "fetch",
    "fetch_many",
    "generation",
    "keep",
    "noticed",
    "of_this_process",
    "ping",
    "policy",
    "read_lately",
]

T = TypeVar("T")
_caches: dict[str, Cache] = {}
_lock = threading.Lock()


def of_this_process() -> Cache:
    """The one that the functions below use."""
    with _lock:
        if settings.REDIS_URL not in _caches:
            _caches[settings.REDIS_URL] = Cache(settings.REDIS_URL)
        return _caches[settings.REDIS_URL]


def _begin_anew() -> None:
    """A forked process has none of the threads of its parent, and maybe their locks."""
    global _lock
    _lock = threading.Lock()
    _caches.clear()


os.register_at_fork(after_in_child=_begin_anew)


def fetch(policy: Policy, key: str, version: Version, compute: Callable[[], T]) -> T:
    """The value of one key, computed when it is not there; raises what `compute` raises."""
    return of_this_process().fetch(policy, key, version, compute)


def fetch_many(policy: Policy, versions: Mapping[str, Version], compute: Compute[T]) -> dict[str, T]:
    """Key -> value for keys with their versions, in one round trip; `compute` gets the list of those it has to find.

    Keys that `compute` leaves out are left out. Raises what it raises.
    """
    return of_this_process().fetch_many(policy, versions, compute)


def keep(policy: Policy, values: Mapping[tuple[str, Version], Any]) -> None:
    """Store what was computed anyway: (key, version) -> value."""
    of_this_process().keep(policy, values)


def drop(policy: Policy) -> None:
    """Hide all entries of a policy from every process. Raises Unreachable: then from this process alone."""
    of_this_process().store.drop(policy)


def drop_here_and_there(policy: Policy) -> bool:
    """Drop, as far as it can be done now: False when Redis did not answer, and only this process's entries went."""
    try:
        drop(policy)
    except Unreachable:
        return False
    return True


def generation(policy: Policy) -> int | None:
    """How often a policy was dropped, for what is kept elsewhere by the same rule; None while Redis does not answer."""
    return of_this_process().store.generation(policy)


def read_lately(policy: Policy) -> set[str]:
    """Keys that are read often, worth keeping warm; none while Redis does not answer."""
    return _read_lately(of_this_process(), policy)


def ping() -> None:
    """Raises Unreachable while Redis does not answer."""
    of_this_process().store.link.run(lambda redis: redis.ping())
