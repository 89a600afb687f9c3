"""Reading through the cache: what is there is served, what is not is computed once and kept."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Waited
from contextlib import contextmanager
from typing import Any, TypeVar

from orchestrator.cache import entries
from orchestrator.cache.counts import Outcome
from orchestrator.cache.entries import Entry, Version
from orchestrator.cache.flights import Flight, Flights
from orchestrator.cache.noticing import notice
from orchestrator.cache.policies import Policy
from orchestrator.cache.store import Store

T = TypeVar("T")
# Keys -> their values; a key that is left out has none, and is not kept.
Compute = Callable[[list[str]], Mapping[str, T]]
POLL_SECONDS = 0.02


class Cache:
    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self._flights = Flights()

    def fetch(self, policy: Policy, key: str, version: Version, compute: Callable[[], T]) -> T:
        """The value of one key; raises what `compute` raises."""
        return self.fetch_many(policy, {key: version}, lambda keys: {key: compute() for key in keys})[key]

    def fetch_many(self, policy: Policy, versions: Mapping[str, Version], compute: Compute[T]) -> dict[str, T]:
        """Key -> value, for keys with their versions: one round trip when all are there.

        `compute` gets the keys that this caller has to find, at most once per key at a time over all processes; the
        others wait for it, or are served what has just expired. Keys it leaves out are left out. Raises what it raises.
        """
        began = time.perf_counter()
        reading = _Reading(self.store, self._flights, policy, versions, compute)
        found, outcomes = reading.all()
        counted: Counter[Outcome] = Counter(outcomes.values())
        if not reading.shared:
            counted["local"] = len(found)
        notice(policy.name, counted)
        self.store.count(policy, counted, time.perf_counter() - began)
        self.store.counts.add_hot(policy.name, outcomes)
        return {key: entry.value() for key, entry in found.items()}

    def refresh(self, policy: Policy, versions: Mapping[str, Version], compute: Compute[Any], before: float) -> int:
        """Compute what is missing or will have expired by `before` (seconds since the epoch), unless somebody is at it.

        Returns how many were computed; nothing is counted.
        """
        reading = _Reading(self.store, self._flights, policy, versions, compute, before)
        return sum(outcome == "miss" for outcome in reading.all()[1].values())

    def keep(self, policy: Policy, values: Mapping[tuple[str, Version], Any]) -> None:
        """Store values computed anyway, by key and version."""
        expires = time.time() + policy.seconds
        packed = {
            entries.name(key, version): entries.packed(entries.entry(value, expires))
            for (key, version), value in values.items()
        }
        if packed:
            self.store.write(policy, None, packed)


class _Reading:
    """One call: the names it is about, what was found, and how."""

    def __init__(
        self,
        store: Store,
        flights: Flights,
        policy: Policy,
        versions: Mapping[str, Version],
        compute: Compute[Any],
        fresh_at: float | None = None,
    ) -> None:
        self._store, self._flights, self._policy, self._compute = store, flights, policy, compute
        self._keys = {entries.name(key, version): key for key, version in versions.items()}
        self._fresh_at = fresh_at
        self._generation: int | None = None
        self._found: dict[str, Entry] = {}
        self._outcomes: dict[str, Outcome] = {}

    def all(self) -> tuple[dict[str, Entry], dict[str, Outcome]]:
        """Entries and outcomes by key."""
        old = self._look(list(self._keys), "hit")
        cold = [name for name in self._keys if name not in self._found]
        if cold:
            self._fill(cold, old)
        return self._by_key(self._found), self._by_key(self._outcomes)

    @property
    def shared(self) -> bool:
        """Whether it was Redis that was read last."""
        return self._generation is not None

    def _by_key(self, named: Mapping[str, T]) -> dict[str, T]:
        return {self._keys[name]: value for name, value in named.items()}

    def _note(self, found: Mapping[str, Entry], outcome: Outcome) -> None:
        self._found.update(found)
        self._outcomes.update(dict.fromkeys(found, outcome))

    def _look(self, names: Sequence[str], outcome: Outcome) -> dict[str, Entry]:
        """Take what is fresh; the others that are there are returned."""
        read = self._store.read(self._policy, names)
        self._generation = read.generation
        now = time.time() if self._fresh_at is None else self._fresh_at
        there = {name: entries.unpacked(data) for name, data in read.values.items()}
        self._note({name: entry for name, entry in there.items() if entry.expires > now}, outcome)
        return {name: entry for name, entry in there.items() if entry.expires <= now}

    def _fill(self, cold: list[str], old: Mapping[str, Entry]) -> None:
        """Compute what nobody else is computing; serve the old of the others, or wait for them."""
        mine, others = self._flights.board((self._policy.name, name) for name in cold)
        with self._landing(mine):
            self._fill_mine([name for _, name in mine], old)
        self._note({name: old[name] for _, name in others if name in old}, "stale")
        waiting = {name: flight for (_, name), flight in others.items() if name not in old}
        deadline = time.monotonic() + self._policy.patience
        self._run([name for name, flight in waiting.items() if not self._landed(name, flight, deadline)])

    @contextmanager
    def _landing(self, mine: dict[tuple[str, str], Flight]) -> Iterator[None]:
        """Whatever happens in between, the threads that wait are told."""
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            found = {name: self._found[name[1]] for name in mine if name[1] in self._found}
            self._flights.land(mine, found, failure)

    def _landed(self, name: str, flight: Flight, deadline: float) -> bool:
        """Whether another thread was done in time; raises what stopped it."""
        try:
            entry = flight.result(max(0.0, deadline - time.monotonic()))
        except (Waited, CancelledError):
            return False
        if entry:
            self._note({name: entry}, "waited")
        return True

    def _fill_mine(self, names: list[str], old: Mapping[str, Entry]) -> None:
        """As _fill, among processes: until all are found, nobody else is at them, or patience ends."""
        token = secrets.token_hex(8)
        deadline = time.monotonic() + self._policy.patience
        while names:
            claimed = self._fill_claimed(names, token)
            left = [name for name in names if name not in claimed]
            self._note({name: old[name] for name in left if name in old}, "stale")
            names = [name for name in left if name not in old]
            if time.monotonic() > deadline:
                return self._run(names)
            if names:
                time.sleep(POLL_SECONDS)
                self._look(names, "waited")
                names = [name for name in names if name not in self._found]
        return None

    def _fill_claimed(self, names: list[str], token: str) -> set[str]:
        """Compute what no other process is computing; the names of that."""
        claimed = self._store.claim(self._policy, names, token)
        try:
            self._look(list(claimed), "waited")  # somebody may just have finished
            self._run([name for name in claimed if name not in self._found])
        finally:
            self._store.release(self._policy, claimed, token)
        return claimed

    def _run(self, names: list[str]) -> None:
        """Compute and keep."""
        if not names:
            return
        computed = self._compute([self._keys[name] for name in names])
        expires = time.time() + self._policy.seconds
        made = {
            name: entries.entry(computed[self._keys[name]], expires) for name in names if self._keys[name] in computed
        }
        self._note(made, "miss")
        self._store.write(self._policy, self._generation, {name: entries.packed(made[name]) for name in made})
