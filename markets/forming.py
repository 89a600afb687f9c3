"""Candles of a stream as they form: which of them have closed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markets.series import Row

# What the exchange sends as a candle ends may be on its way for so long: until then nothing counts as its last word.
SETTLED_MS = 200

Key = tuple[str, int]  # symbol, timeframe in seconds


class Closed(NamedTuple):
    """rows: closed candles, ascending, as they were last heard of; unsure: one has closed whose begin was not heard."""

    rows: list[Row]
    unsure: bool = False


class Forming:
    """What was heard of one connection's candles.

    The first candle of each market may have been put together from a part of its trades: it is not believed.
    """

    def __init__(self) -> None:
        self._first: dict[Key, int] = {}
        self._told: dict[Key, Row] = {}

    def hear(self, key: Key, rows: Sequence[Row], now: int) -> Closed:
        """rows: the last ones as they are now, ascending by open time; now: the exchange's clock, ms UTC.

        A candle has closed when the next one is there, or when it is heard of after its end.
        """
        if not rows:
            return Closed([])
        first = self._first.setdefault(key, rows[0][0])
        done = list(rows[:-1])
        if now >= rows[-1][0] + key[1] * 1000 + SETTLED_MS:
            done.append(rows[-1])
        fresh = [row for row in done if self._is_new(key, row)]
        if fresh:
            self._told[key] = fresh[-1]
        return Closed([row for row in fresh if row[0] > first], any(row[0] == first for row in fresh))

    def _is_new(self, key: Key, row: Row) -> bool:
        """Whether it was not told yet, or otherwise."""
        told = self._told.get(key)
        return told is None or row[0] > told[0] or (row[0] == told[0] and row != told)
