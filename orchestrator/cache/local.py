"""What one process keeps while Redis does not answer: bounded, and nobody else's business."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from cachetools import LRUCache

from orchestrator.cache.shared import Read

BYTES = 32 * 1024 * 1024


class Memory:
    """The entries used last, up to BYTES of them."""

    def __init__(self, size: int = BYTES) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: LRUCache[tuple[str, str], bytes] = LRUCache(size, getsizeof=len)

    def read(self, policy: str, names: Sequence[str]) -> Read:
        with self._lock:
            found = {name: self._values.get((policy, name)) for name in names}
        return Read(None, {name: value for name, value in found.items() if value is not None})

    def write(self, policy: str, values: Mapping[str, bytes]) -> None:
        with self._lock:
            self._values.update({(policy, name): value for name, value in values.items() if len(value) <= self._size})

    def drop(self, policy: str) -> None:
        with self._lock:
            for key in [key for key in self._values if key[0] == policy]:
                del self._values[key]

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
