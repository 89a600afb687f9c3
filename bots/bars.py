"""Where the candles come from that runs are led through: the database; a replay has a series of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
        self._older: Candles | None = None
        self.shown = 0  # the candle that has just closed

    def after(self, marks: Sequence[Mark]) -> dict[Mark, Candles]:
        return dict.fromkeys(marks, self._candles[self.shown : self.shown + 1])

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        own = self._candles[max(0, self.shown - count) : self.shown]
        if len(own) == count:
            return own
        if self._older is None:
            self._older = STORED.before(market_id, timeframe, int(self._candles.time[0]), count)
        return Candles.joined([last(self._older, count - len(own)), own])


def last(candles: Candles, count: int) -> Candles:
    return candles[max(0, len(candles) - count) :]
