"""Entries that are read often, renewed before a reader has to wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cache import counts
from orchestrator.cache.entries import Version
from orchestrator.cache.fetching import Cache
from orchestrator.cache.link import Unreachable
from orchestrator.cache.policies import Policy

HOT_ENTRIES = 1_000  # of a policy, that are kept warm
HOT_READS = 2.0  # lately, for a key to count as hot
EARLY_SECONDS = 30  # before they expire; at most half of their time


@dataclass(frozen=True, slots=True)
class Source:
    """Where the entries of a policy come from, for those who do not know what they are about.

    versions: keys -> the version that a reader would ask for now, without those that no longer exist;
    compute: keys -> values.
    """

    policy: Policy
    versions: Callable[[Sequence[str]], Mapping[str, Version]]
    compute: Callable[[Sequence[str]], Mapping[str, Any]]


def read_lately(cache: Cache, policy: Policy) -> set[str]:
    """Keys that are hot; none while Redis does not answer."""
    try:
        found = cache.store.link.run(lambda redis: counts.hottest(redis, policy.name, HOT_ENTRIES))
    except Unreachable:
        return set()
    return {key for key, reads in found.items() if reads >= HOT_READS}


def warm(cache: Cache, source: Source) -> int:
    """Compute the hot entries that are missing or about to expire; how many. Nothing while Redis does not answer."""
    policy = source.policy
    hot = sorted(read_lately(cache, policy))
    cache.store.cool(policy, HOT_ENTRIES)
    if not hot:
        return 0
    before = time.time() + min(EARLY_SECONDS, policy.seconds / 2)
    return cache.refresh(policy, source.versions(hot), source.compute, before)
