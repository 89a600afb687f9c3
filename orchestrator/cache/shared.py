"""What the cache keeps in Redis, and under which names: entries, claims, generations, counts, hot keys, outages.

Nothing scans for keys: a policy's generation is a part of the names of its entries, so a higher one hides them all,
and they expire by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

PREFIX = "orchestrator:cache"
# The second of two tries finds the claim of the first.
_CLAIM = """
local won = {}
for i, key in ipairs(KEYS) do
  local set = redis.call('set', key, ARGV[1], 'nx', 'ex', ARGV[2])
  won[i] = (set or redis.call('get', key) == ARGV[1]) and 1 or 0
end
return won
"""
_RELEASE = """
for _, key in ipairs(KEYS) do
  if redis.call('get', key) == ARGV[1] then redis.call('del', key) end
end
"""


class Read(NamedTuple):
    """generation: that of the policy, None when it was read from this process's memory; values: by name, as stored."""

    generation: int | None
    values: dict[str, bytes]


class Entries:
    """Knows the generations last seen, so that reading takes one round trip."""

    def __init__(self) -> None:
        self._generations: dict[str, int] = {}

    def read(self, redis: Redis, policy: str, names: Sequence[str]) -> Read:
        known = self._generations.get(policy, 0)
        generation, values = _read(redis, policy, known, names)
        if generation != known:
            self._generations[policy] = generation
            generation, values = _read(redis, policy, generation, names)
        return Read(generation, {name: value for name, value in zip(names, values, strict=True) if value is not None})

    def write(
        self, redis: Redis, policy: str, generation: int | None, values: Mapping[str, bytes], seconds: int
    ) -> None:
        """Under the generation that was read before they were computed, so that a drop meanwhile holds for them."""
        if generation is None:
            generation = self.read(redis, policy, []).generation
        pipeline = redis.pipeline(transaction=False)
        for name, value in values.items():
            pipeline.set(_entry(policy, generation, name), value, ex=seconds)
        pipeline.execute()

    def drop(self, redis: Redis, policy: str) -> int:
        return int(redis.incr(_generation(policy)))


def _read(redis: Redis, policy: str, generation: int, names: Sequence[str]) -> tuple[int, list[bytes | None]]:
    keys = [_generation(policy), *(_entry(policy, generation, name) for name in names)]
    found, *values = cast("list[bytes | None]", redis.mget(keys))
    return int(found or 0), values


def _generation(policy: str) -> str:
    return f"{PREFIX}:generation:{policy}"


def _entry(policy: str, generation: int | None, name: str) -> str:
    return f"{PREFIX}:{policy}:{generation}:{name}"


def claim(redis: Redis, policy: str, names: Sequence[str], token: str, seconds: int) -> set[str]:
    """The names that nobody else is computing; they are the token's until released, or for so many seconds."""
    keys = [_claim(policy, name) for name in names]
    won = cast("list[int]", redis.eval(_CLAIM, len(keys), *keys, token, seconds))
    return {name for name, mine in zip(names, won, strict=True) if mine}


def release(redis: Redis, policy: str, names: Iterable[str], token: str) -> None:
    keys = [_claim(policy, name) for name in names]
    redis.eval(_RELEASE, len(keys), *keys, token)


def _claim(policy: str, name: str) -> str:
    return f"{PREFIX}:claim:{policy}:{name}"


def generations(redis: Redis, policies: Sequence[str]) -> dict[str, int]:
    """Policy -> how often it was dropped."""
    found = cast("list[Any]", redis.mget([_generation(policy) for policy in policies]))
    return {policy: int(generation or 0) for policy, generation in zip(policies, found, strict=True)}
