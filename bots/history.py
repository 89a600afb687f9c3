"""Candles on which pages try bots, kept in the memory of the process: a form asks for the same ones at every key."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np

from markets import candles as store
from markets.candles import Mark
from markets.series import Candles, resample

DAY_MS: Final = 86_400_000
DAYS: Final = 400  # loaded at most: the longest period that is offered, and what kinds are shown before it
KEPT: Final = 2_000_000  # candles of all markets together, 48 bytes each
FRESH_SECONDS: Final = 600.0  # then it is read anew: older candles may have been loaded or mended meanwhile

Key = tuple[int, int]  # market id, timeframe in seconds
# Timeframes in seconds of which candles are stored -> open time of the last one, ms UTC.
Stored = Mapping[int, int | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    candles: Candles
    source: int
    synced_to: int | None
    until: float


def source_of(stored: Stored, timeframe: int) -> int | None:
    """The longest stored timeframe that gives candles of `timeframe` seconds; None when there is none."""
    return max((one for one in stored if timeframe % one == 0), default=None)


class History:
    """The last candles of markets by timeframe; the market asked for longest ago goes when there are too many."""

    def __init__(self, most: int = KEPT) -> None:
        self._most, self._lock = most, Lock()
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def candles(self, market_id: int, timeframe: int, stored: Stored) -> Candles:
        """Closed candles of the last DAYS days, resampled from a shorter timeframe where there is no own one."""
        source = source_of(stored, timeframe)
        if source is None:
            return Candles.empty()
        key, synced_to = (market_id, timeframe), stored[source]
        known = self._entries.get(key)
        if known is None or known.source != source or time.monotonic() > known.until:
            entry = _Entry(_load(market_id, source, timeframe, None), source, synced_to, _later())
        elif known.synced_to != synced_to:
            entry = _Entry(_extended(known, market_id, timeframe), source, synced_to, known.until)
        else:
            entry = known
        self._keep(key, entry)
        return entry.candles

    def _keep(self, key: Key, entry: _Entry) -> None:
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and sum(len(one.candles) for one in self._entries.values()) > self._most:
                self._entries.popitem(last=False)


def _later() -> float:
    return time.monotonic() + FRESH_SECONDS


def _load(market_id: int, source: int, timeframe: int, start: int | None) -> Candles:
    if start is None:
        last = store.last_time(market_id, source)
        start = 0 if last is None else last - DAYS * DAY_MS
    return resample(store.load(market_id, source, start), source, timeframe)


def _extended(known: _Entry, market_id: int, timeframe: int) -> Candles:
    """With what closed since; the last one is read again, as it may have been mended."""
    if not len(known.candles):
        return _load(market_id, known.source, timeframe, None)
    newer = _load(market_id, known.source, timeframe, int(known.candles.time[-1]))
    return Candles.joined([known.candles[:-1], newer])


HISTORY: Final = History()


class KnownBars:
    """The candles before a period, out of the longer series that it was cut from."""

    waits = False

    def __init__(self, candles: Candles) -> None:
        self._candles = candles

    def after(self, marks: object) -> dict[Mark, Candles]:
        return {}

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        at = int(np.searchsorted(self._candles.time, end))
        return self._candles[max(0, at - count) : at]


def last_days(candles: Candles, days: int) -> Candles:
    """Those of the last so many days."""
    if not len(candles):
        return candles
    return candles[int(np.searchsorted(candles.time, int(candles.time[-1]) - days * DAY_MS, side="right")) :]
