"""What lies in a store: a value with the moment up to which it is fresh, under a name that carries its version."""

from __future__ import annotations

import hashlib
import pickle
import struct
from typing import Any, NamedTuple, TypeAlias

Version: TypeAlias = int | str
LONGEST_KEY = 200
_EXPIRES = struct.Struct(">d")


class Entry(NamedTuple):
    """expires: seconds since the epoch; packed: the value, pickled."""

    expires: float
    packed: bytes

    def value(self) -> Any:
        """A copy of the reader's own."""
        return pickle.loads(self.packed)


def name(key: str, version: Version) -> str:
    """Of an entry. Raises ValueError for a version that could be mistaken for a part of the key."""
    text = str(version)
    if "@" in text:
        raise ValueError(f"version must not hold @, and is {text!r}.")
    if len(key) > LONGEST_KEY:
        key = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
    return f"{key}@{text}"


def entry(value: Any, expires: float) -> Entry:
    return Entry(expires, pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def packed(entry: Entry) -> bytes:
    return _EXPIRES.pack(entry.expires) + entry.packed


def unpacked(data: bytes) -> Entry:
    (expires,) = _EXPIRES.unpack_from(data)
    return Entry(expires, data[_EXPIRES.size :])
