"""A stretch of candles as one string of bytes, and back to the last bit. Pure.

An exchange's prices and volumes are decimals of a few places: a column of which all values are is kept as whole numbers
of four bytes, which is half the size and read faster than it could be copied; any other column as it is.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from markets.series import VALUES, Candles, Column

FORMAT = 1  # of the bytes; what was packed in another one is not read

# Candles, whether none is missing, and the decimal places of each column or PLAIN.
_HEAD = struct.Struct("<IB5b")
_PLAIN = -1
_PLACES = 10
_SAMPLE = 16  # values that are tried before the whole column
_WHOLE = 2.0**31


class Head(NamedTuple):
    length: int
    dense: bool
    places: tuple[int, ...]


def head(data: bytes) -> Head:
    """What is in a packed stretch."""
    length, dense, *places = _HEAD.unpack_from(data)
    return Head(length, bool(dense), tuple(places))


def pack(candles: Candles, start: int, step: int) -> bytes:
    """Candles with open times from `start` on, `step` apart or missing (ms); none is 65,536 steps or more away."""
    offsets = ((candles.time - start) // step).astype("<u2")
    dense = bool(len(offsets)) and int(offsets[-1]) == len(offsets) - 1
    places, parts = [], [b"" if dense else offsets.tobytes()]
    likely = 2
    for name in VALUES:
        found, column = _packed(getattr(candles, name), likely)
        likely = likely if found == _PLAIN else found
        places.append(found)
        parts.append(column.tobytes())
    return b"".join([_HEAD.pack(len(offsets), dense, *places), *parts])


def unpack(data: bytes, start: int, step: int, into: Candles) -> None:
    """Fill `into`, which has as many rows as head() says, with what pack() was given."""
    found = head(data)
    offset = _HEAD.size
    if found.dense:
        offsets: NDArray[Any] = np.arange(found.length, dtype=np.int64)
    else:
        offsets = np.frombuffer(data, "<u2", found.length, offset).astype(np.int64)
        offset += 2 * found.length
    np.add(offsets * step, start, out=into.time)
    for name, places in zip(VALUES, found.places, strict=True):
        column = getattr(into, name)
        if places == _PLAIN:
            column[:] = np.frombuffer(data, "<f8", found.length, offset)
            offset += 8 * found.length
        else:
            np.divide(np.frombuffer(data, "<i4", found.length, offset), 10.0**places, out=column)
            offset += 4 * found.length


def _packed(column: Column, likely: int) -> tuple[int, NDArray[Any]]:
    """Places and whole numbers of a column, or itself; `likely`: the places to try first."""
    for places in (likely, *range(_PLACES + 1)):
        if _whole(column[:_SAMPLE], places) is not None and (found := _whole(column, places)) is not None:
            return places, found
    return _PLAIN, column.astype("<f8")


def _whole(column: Column, places: int) -> NDArray[Any] | None:
    """The column as multiples of 10^-places, when dividing gives the same bits again."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(column * 10.0**places)
    # Not a number is not below either.
    if not (np.abs(scaled) < _WHOLE).all():
        return None
    whole = scaled.astype("<i4")
    back = whole / 10.0**places
    return whole if np.array_equal(back.view(np.int64), column.view(np.int64)) else None
