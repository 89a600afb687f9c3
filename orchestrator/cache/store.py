"""Where entries are: in Redis, and while that does not answer in this process's memory. Never raises for the cache."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, cast

import orjson
from redis import Redis

from orchestrator.cache import counts, shared
from orchestrator.cache.link import Link, Outage, Unreachable
from orchestrator.cache.local import Memory
from orchestrator.cache.policies import Policy
from orchestrator.cache.shared import PREFIX, Read

logger = logging.getLogger(__name__)

T = TypeVar("T")
CLAIM_SECONDS = 30
_OUTAGES = f"{PREFIX}:outages"
_MOST_OUTAGES = 20


class PastOutage(TypedDict):
    """since: seconds since the epoch; one that a process noticed, so a fall of Redis is told once a process."""

    since: float
    seconds: float
    reason: str


class Store:
    def __init__(self, url: str) -> None:
        self.link = Link(url, self._back)
        self.counts = counts.Counts()
        self._entries = shared.Entries()
        self._memory = Memory()

    def read(self, policy: Policy, names: Sequence[str]) -> Read:
        return self._either(
            lambda redis: self._entries.read(redis, policy.name, names), lambda: self._memory.read(policy.name, names)
        )

    def write(self, policy: Policy, generation: int | None, values: Mapping[str, bytes]) -> None:
        """Entries by name, for as long as they may be served."""
        kept = policy.seconds + policy.grace
        self._either(
            lambda redis: self._entries.write(redis, policy.name, generation, values, kept),
            lambda: self._memory.write(policy.name, values),
        )

    def claim(self, policy: Policy, names: Sequence[str], token: str) -> set[str]:
        """Names that no other process is computing; without Redis nobody knows of any."""
        return self._either(
            lambda redis: shared.claim(redis, policy.name, names, token, CLAIM_SECONDS), lambda: set(names)
        )

    def release(self, policy: Policy, names: set[str], token: str) -> None:
        if names:
            self._either(lambda redis: shared.release(redis, policy.name, names, token), lambda: None)

    def drop(self, policy: Policy) -> None:
        """Hide all entries of a policy from every process. Raises Unreachable: then from this process alone."""
        self._memory.drop(policy.name)
        self.link.run(lambda redis: self._entries.drop(redis, policy.name))

    def generation(self, policy: Policy) -> int | None:
        """How often a policy was dropped; None while Redis does not answer."""
        return self._either(lambda redis: shared.generations(redis, [policy.name])[policy.name], lambda: None)

    def cool(self, policy: Policy, keep: int) -> None:
        """Let reads of a while ago count for less."""
        self._either(lambda redis: counts.cool(redis, policy.name, keep), lambda: None)

    def outages(self) -> list[PastOutage]:
        """The latest ones that are over, last first. Raises Unreachable."""
        found = self.link.run(lambda redis: cast("list[bytes]", redis.lrange(_OUTAGES, 0, -1)))
        return [orjson.loads(outage) for outage in found]

    def count(self, policy: Policy, counted: Mapping[counts.Outcome, int], seconds: float) -> None:
        if self.counts.add(policy.name, counted, seconds):
            self._flush_later()

    def _flush_later(self) -> None:
        timer = threading.Timer(counts.FLUSH_SECONDS, self.flush)
        timer.daemon = True
        timer.start()

    def flush(self) -> None:
        """Send what was counted; kept for the next time while Redis does not answer."""
        counted, hot = self.counts.take()
        if not counted:
            return
        try:
            self.link.run(lambda redis: counts.send(redis, counted, hot))
        except Unreachable:
            self.counts.give_back(counted)
            self._flush_later()

    def _either(self, by_redis: Callable[[Redis], T], by_memory: Callable[[], T]) -> T:
        try:
            return self.link.run(by_redis)
        except Unreachable:
            return by_memory()

    def _back(self, redis: Redis, outage: Outage) -> None:
        """Write down what happened: the first thing that must succeed before Redis counts as back."""
        seconds = time.time() - outage.since
        told: dict[str, Any] = {"since": outage.since, "seconds": seconds, "reason": outage.reason}
        pipeline = redis.pipeline(transaction=True)
        pipeline.lpush(_OUTAGES, orjson.dumps(told))
        pipeline.ltrim(_OUTAGES, 0, _MOST_OUTAGES - 1)
        pipeline.execute()
        self._memory.clear()
