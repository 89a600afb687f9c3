"""Where the candles come from that runs are led through: the database; a replay has a series of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from markets import candles as store
from markets.candles import Mark
from markets.series import Candles

# Candles a run takes in one transaction: bounds memory and the time its row is locked.
MOST_BARS = 20_000


class Bars(Protocol):
    waits: bool  # whether what is not known yet of the last candles may still come

    def after(self, marks: Sequence[Mark]) -> dict[Mark, Candles]:
        """For each mark (market id, timeframe in s, open time of the last candle seen) the closed candles after it."""

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        """The last `count` candles of a market that opened before `end`, ms UTC, ascending."""


class StoredBars:
    """Candles from the database."""

    waits = True

    def after(self, marks: Sequence[Mark]) -> dict[Mark, Candles]:
        return store.load_after(marks, MOST_BARS)

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        return store.load(market_id, timeframe, end=end, limit=count)


STORED = StoredBars()


class SeriesBars:
    """A market's series that was loaded before, shown candle by candle; what is older comes from the database."""

    waits = False

    def __init__(self, candles: Candles) -> None:
        self._candles = candles
        self._known = candles  # with the older ones that were asked for
        self._all = False  # no older ones are stored
        self.shown = 0  # the candle that has just closed

    def after(self, marks: Sequence[Mark]) -> dict[Mark, Candles]:
        return dict.fromkeys(marks, self._candles[self.shown : self.shown + 1])

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        at = int(np.searchsorted(self._known.time, end))
        if at < count and not self._all:
            older = STORED.before(market_id, timeframe, int(self._known.time[0]), count - at)
            self._all = len(older) < count - at
            self._known, at = Candles.joined([older, self._known]), at + len(older)
        return last(self._known[:at], count)


def last(candles: Candles, count: int) -> Candles:
    return candles[max(0, len(candles) - count) :]
