"""The latest candles of series whose indicators follow them: kept in the process, extended as candles close.

Values are those of markets.blocks: a block is computed over its own candles and its lead, so what is kept begins where
the lead of the block under way does, and a new candle costs the reading of that candle and a pass over the block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from markets import candles as store
from markets.blocks import BLOCK, columns, starts
from markets.indicators import INDICATORS, bound
from markets.series import VALUES, Candles, Column

Columns: TypeAlias = dict[str, Column]
Series: TypeAlias = tuple[int, int]  # market id, timeframe in seconds
BYTES = 256 * 1024 * 1024
REREAD_SECONDS = 900.0  # a repair of candles further back is seen by then
OVERLAP = 3  # candles read again with the new ones: exchanges revise their last ones
MOST_NEW = 1000
SHARD = 50  # series read at once: 20 MB
MEMORY = max(one.memory(one.defaults) for one in INDICATORS.values())


def computed(series: Series, names: Iterable[str], window: int, last: int) -> dict[str, Columns]:
    """Indicator -> columns at the last `window` stored candles up to the one that opens at `last`, ms UTC."""
    chosen = list(names)
    tail = store.load(*series, end=last + 1, limit=window)
    memory = max((INDICATORS[name].memory(INDICATORS[name].defaults) for name in chosen), default=0)
    whole = Candles.joined([_before(series, tail, memory), tail])
    return {
        name: _last(columns(name, INDICATORS[name].defaults, whole, series[1], series[1]), len(tail)) for name in chosen
    }


def _before(series: Series, tail: Candles, memory: int) -> Candles:
    """The candles before a tail that its first block and the lead of that hold."""
    if not len(tail):
        return tail
    first = int(tail.time[0])
    return store.load(*series, start=_lead_start(first, series[1], memory), end=first)


def _lead_start(at: int, timeframe: int, memory: int) -> int:
    (start,) = starts(np.array([at]), timeframe, BLOCK).tolist()
    return int(start) - memory * timeframe * 1000


def _last(whole: Mapping[str, Column], rows: int) -> Columns:
    # Copied, as a slice would carry all that is before it along.
    return {output: column[len(column) - rows :].copy() for output, column in whole.items()}


class Window:
    """One series from the lead of the block that its last candle is in; columns: of the indicators that are read."""

    def __init__(self, series: Series, candles: Candles) -> None:
        self.series, self.candles, self.read_at = series, candles, time.monotonic()
        self.columns: dict[str, Columns] = {}
        self.new = 1 if len(candles) else 0

    @property
    def size(self) -> int:
        return 48 * len(self.candles) + 1000

    @property
    def last(self) -> int:
        """Open time of the last candle, ms UTC."""
        return int(self.candles.time[-1])

    @property
    def mark(self) -> store.Mark:
        """Of what to read next."""
        return (*self.series, int(self.candles.time[-min(OVERLAP, len(self.candles))]) - 1)

    def extend(self, fresh: Candles) -> bool:
        """Take what was read after the mark; False when it contradicts what is here."""
        known = int(fresh.time.searchsorted(self.last, side="right"))
        if known != min(OVERLAP, len(self.candles)) or not _same(fresh[:known], self.candles[-known:]):
            return False
        self.new = len(fresh) - known
        if self.new:
            self.candles = Candles.joined([self.candles, fresh[known:]])
        return self.new < MOST_NEW

    def values(self, name: str) -> Columns:
        """Of the new candles."""
        whole = bound(name, self.candles)
        memory = INDICATORS[name].memory(INDICATORS[name].defaults)
        first, end = len(self.candles) - self.new, len(self.candles)
        parts: list[tuple[Column, ...]] = []
        while first < end:
            lead, until = self._block(first, memory)
            parts.append(tuple(column[first - lead :] for column in whole.over(lead, until)))
            first = until
        return {
            output: np.concatenate(found) for output, found in zip(whole.outputs, zip(*parts, strict=True), strict=True)
        }

    def _block(self, row: int, memory: int) -> tuple[int, int]:
        """Of the block that a row is in: the first row of its lead, and the row after it."""
        times, step = self.candles.time, self.series[1] * 1000
        start = int(times[row]) // (BLOCK * step) * (BLOCK * step)
        lead, until = times.searchsorted([start - memory * step, start + BLOCK * step]).tolist()
        return lead, until

    def keep_columns(self, wanted: Mapping[str, Columns], window: int) -> None:
        """Go on with the columns of those that are read, the new values added; forget the others.

        wanted: indicator -> values of the new candles.
        """
        cold = [name for name in wanted if name not in self.columns]
        longer = {
            name: {
                output: np.concatenate([self.columns[name][output], new])[-window:] for output, new in values.items()
            }
            for name, values in wanted.items()
            if name not in cold
        }
        self.columns = longer | (computed(self.series, cold, window, self.last) if cold else {})

    def trim(self) -> None:
        """Forget what no block to come needs."""
        if len(self.candles):
            first = int(self.candles.time.searchsorted(_lead_start(self.last, self.series[1], MEMORY)))
            self.candles = self.candles[first:] if first < BLOCK else _copied(self.candles[first:])


def _copied(candles: Candles) -> Candles:
    return Candles(candles.time.copy(), *(getattr(candles, name).copy() for name in VALUES))


def _same(one: Candles, other: Candles) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("time", *VALUES))


def _read_whole(series: Sequence[Series]) -> dict[Series, Window]:
    """Windows that are not kept, of those that have candles: two queries for SHARD of them."""
    found: dict[Series, Window] = {}
    for start in range(0, len(series), SHARD):
        last = store.last_times(series[start : start + SHARD])
        marks = {one: (*one, _lead_start(time, one[1], MEMORY) - 1) for one, time in last.items()}
        read = store.load_after(list(marks.values()), MEMORY + BLOCK + MOST_NEW)
        found |= {one: Window(one, read[mark]) for one, mark in marks.items()}
    return found


class Windows:
    """Those of one process, the ones used last, up to BYTES of them."""

    def __init__(self) -> None:
        self._kept: LRUCache[Series, Window] = LRUCache(BYTES, getsizeof=lambda window: window.size)
        self._generation: int | None = None
        self.lock = threading.Lock()

    def advance(self, series: Sequence[Series], generation: int | None) -> list[Window]:
        """The windows of these series with what has been stored since; only those that have candles. Hold the lock.

        generation: that of the cached indicators; with another one all are read anew.
        """
        if generation != self._generation:
            self._kept.clear()
            self._generation = generation
        known = [window for one in series if (window := self._kept.get(one)) and self._is_good(window)]
        read = store.load_after([window.mark for window in known], MOST_NEW)
        good = {window.series: window for window in known if window.extend(read[window.mark])}
        cold = _read_whole([one for one in series if one not in good])
        return [window for one in series if (window := good.get(one) or cold.get(one))]

    def keep(self, windows: Iterable[Window]) -> None:
        for window in windows:
            window.trim()
            self._kept[window.series] = window

    def _is_good(self, window: Window) -> bool:
        return time.monotonic() - window.read_at < REREAD_SECONDS
