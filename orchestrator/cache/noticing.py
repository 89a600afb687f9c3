"""What the cache did for one piece of work: told to whoever opened `noticed()` around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from orchestrator.cache.counts import Outcome

Noticed = Counter[tuple[str, Outcome]]
_listening: ContextVar[tuple[Noticed, ...]] = ContextVar("cache_listening", default=())


@contextmanager
def noticed() -> Iterator[Noticed]:
    """(policy, outcome) -> keys, of all that is read within; of this thread alone. One may lie within another."""
    found: Noticed = Counter()
    token = _listening.set((*_listening.get(), found))
    try:
        yield found
    finally:
        _listening.reset(token)


def notice(policy: str, counted: Mapping[Outcome, int]) -> None:
    for found in _listening.get():
        for outcome, keys in counted.items():
            found[policy, outcome] += keys
