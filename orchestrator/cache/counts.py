"""Hits, misses and times per policy: counted in the process, sent to Redis in batches, read for all processes.

Times go into buckets a quarter of an octave wide, so a percentile is exact to 9 % either way.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, cast, get_args

from redis import Redis

from orchestrator.cache.shared import PREFIX

Outcome: TypeAlias = Literal["hit", "stale", "waited", "miss", "local"]
FLUSH_SECONDS = 5.0
HOURS = 24
MOST_HOT = 5_000  # keys that one process counts between two flushes
_PER_OCTAVE = 4
_HOT_FLOOR, _COOLING = 0.5, 0.95


def bucket(seconds: float) -> int:
    """Number of the bucket; 0 is up to a microsecond."""
    return max(0, math.ceil(_PER_OCTAVE * math.log2(max(seconds * 1e6, 1.0))))


def bucket_ms(number: int) -> float:
    """The middle of a bucket."""
    return float(2 ** ((number - 0.5) / _PER_OCTAVE) / 1000)


class Counts:
    """What one process counted since its last flush."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._hot: Counter[tuple[str, str]] = Counter()

    def add(self, policy: str, counts: Mapping[Outcome, int], seconds: float) -> bool:
        """Of one call; whether it is the first since the last flush."""
        kind = "fill" if counts.get("miss") or counts.get("waited") else "read"
        with self._lock:
            first = not self._counts
            for outcome, count in counts.items():
                self._counts[f"{policy}|{outcome}"] += count
            self._counts[f"{policy}|{kind}|{bucket(seconds)}"] += 1
        return first

    def add_hot(self, policy: str, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                if len(self._hot) < MOST_HOT:
                    self._hot[policy, key] += 1

    def take(self) -> tuple[Counter[str], Counter[tuple[str, str]]]:
        with self._lock:
            taken = self._counts, self._hot
            self._counts, self._hot = Counter(), Counter()
        return taken

    def give_back(self, counts: Counter[str]) -> None:
        """What could not be sent; who was hot is forgotten."""
        with self._lock:
            self._counts.update(counts)


def send(redis: Redis, counts: Counter[str], hot: Counter[tuple[str, str]]) -> None:
    hour = _hour(int(time.time()) // 3600)
    pipeline = redis.pipeline(transaction=True)
    for field, count in counts.items():
        pipeline.hincrby(hour, field, count)
    pipeline.expire(hour, (HOURS + 1) * 3600)
    for (policy, key), count in hot.items():
        pipeline.zincrby(_hot(policy), count, key)
    pipeline.execute()


def _hour(number: int) -> str:
    return f"{PREFIX}:counts:{number}"


def _hot(policy: str) -> str:
    return f"{PREFIX}:hot:{policy}"


def hottest(redis: Redis, policy: str, count: int) -> dict[str, float]:
    """Key -> about how often it was read lately, most first."""
    found = cast("list[tuple[bytes, float]]", redis.zrange(_hot(policy), 0, count - 1, desc=True, withscores=True))
    return {key.decode(): score for key, score in found}


def cool(redis: Redis, policy: str, keep: int) -> None:
    """Reads count for less with every warming, and what nobody reads is forgotten."""
    pipeline = redis.pipeline(transaction=True)
    pipeline.zunionstore(_hot(policy), {_hot(policy): _COOLING})
    pipeline.zremrangebyscore(_hot(policy), "-inf", _HOT_FLOOR)
    pipeline.zremrangebyrank(_hot(policy), 0, -keep - 1)
    pipeline.execute()


class Figures(NamedTuple):
    """Of one policy. Times in ms: percentiles of reads that found something and of those that computed or waited."""

    hits: int
    stale: int
    waited: int
    misses: int
    local: int
    read_ms: dict[int, float]
    fill_ms: dict[int, float]

    @property
    def reads(self) -> int:
        return self.hits + self.stale + self.waited + self.misses

    @property
    def hit_rate(self) -> float | None:
        """Share of reads that did not compute; None without reads."""
        return (self.reads - self.misses) / self.reads if self.reads else None


def figures(redis: Redis, policies: list[str], hours: int = HOURS) -> dict[str, Figures]:
    """Of all processes together, over the last hours (at most 24), the present one included."""
    now = int(time.time()) // 3600
    pipeline = redis.pipeline(transaction=False)
    for number in range(now - min(hours, HOURS) + 1, now + 1):
        pipeline.hgetall(_hour(number))
    total: Counter[str] = Counter()
    for found in pipeline.execute():
        total.update({field.decode(): int(count) for field, count in found.items()})
    return {policy: _figures(policy, total) for policy in policies}


def _figures(policy: str, total: Counter[str]) -> Figures:
    hits, stale, waited, misses, local = (total[f"{policy}|{outcome}"] for outcome in get_args(Outcome))
    times = [_percentiles(total, f"{policy}|{kind}|") for kind in ("read", "fill")]
    return Figures(hits, stale, waited, misses, local, *times)


def _percentiles(total: Counter[str], prefix: str) -> dict[int, float]:
    buckets = sorted((int(field.removeprefix(prefix)), n) for field, n in total.items() if field.startswith(prefix))
    samples = sum(count for _, count in buckets)
    return {percent: _at(buckets, samples * percent / 100) for percent in (50, 95, 99)} if samples else {}


def _at(buckets: list[tuple[int, int]], rank: float) -> float:
    """Milliseconds of the bucket that holds the sample of this rank."""
    seen = 0
    for number, count in buckets:
        seen += count
        if seen >= rank:
            return bucket_ms(number)
    return bucket_ms(buckets[-1][0])
