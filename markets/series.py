"""Columnar candles and timeframe arithmetic. Pure: numpy only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.int64]
Column: TypeAlias = NDArray[np.float64]
# Open time in ms, open, high, low, close, volume.
Row: TypeAlias = tuple[int, float, float, float, float, float]
# No price and no volume is so large, and the columns of money hold less.
TOO_LARGE = 1e20
VALUES = ("open", "high", "low", "close", "volume")

# Name as ccxt spells it -> length in seconds.
TIMEFRAMES: dict[str, int] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "4h": 14400,
    "1d": 86400,
}
TIMEFRAME_NAMES = {seconds: name for name, seconds in TIMEFRAMES.items()}


def timeframe_seconds(name: str) -> int:
    """Length in seconds of a timeframe given by name. Raises ValueError with the names there are."""
    try:
        return TIMEFRAMES[name]
    except KeyError:
        raise ValueError(f"timeframe must be one of {', '.join(TIMEFRAMES)}, not {name!r}.") from None


@dataclass(frozen=True, slots=True)
class Candles:
    """Closed candles of one market and timeframe, ascending by open time.

    time: open time, ms UTC, int64; open, high, low, close: quote per base, float64; volume: base units, float64.
    All columns have the same length.
    """

    time: Times
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def __len__(self) -> int:
        return int(self.time.size)

    def __getitem__(self, rows: slice) -> Candles:
        return Candles(
            self.time[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )

    @classmethod
    def empty(cls) -> Candles:
        none = np.empty(0)
        return cls(np.empty(0, np.int64), none, none, none, none, none)

    @classmethod
    def from_rows(cls, rows: Iterable[Row]) -> Candles:
        columns = list(zip(*rows, strict=True))
        if not columns:
            return cls.empty()
        time, *values = columns
        return cls(np.array(time, np.int64), *(np.array(column, np.float64) for column in values))

    @classmethod
    def joined(cls, parts: Iterable[Candles]) -> Candles:
        """The parts one after the other."""
        some = [part for part in parts if len(part)]
        if not some:
            return cls.empty()
        names = ("time", *VALUES)
        return cls(*(np.concatenate([getattr(part, name) for part in some]) for name in names))

    def but(self, known: Candles) -> Candles:
        """Those that `known`, ascending too, does not have just so."""
        if not len(known):
            return self
        rows = np.searchsorted(known.time, self.time)
        rows[rows == len(known)] = 0
        other = np.zeros(len(self), np.bool_)
        for name in ("time", *VALUES):
            other |= getattr(known, name)[rows] != getattr(self, name)
        return Candles(*(getattr(self, name)[other] for name in ("time", *VALUES)))

    def row(self, index: int) -> Row:
        open_, high, low, close, volume = (float(getattr(self, name)[index]) for name in VALUES)
        return int(self.time[index]), open_, high, low, close, volume

    def rows(self) -> list[Row]:
        columns = (getattr(self, name).tolist() for name in VALUES)
        return list(zip(self.time.tolist(), *columns, strict=True))


class BadCandle(ValueError):
    """A candle that cannot be true. `row` counts from 0 in the candles given; the message is one sentence."""

    def __init__(self, row: int, sentence: str) -> None:
        super().__init__(sentence)
        self.row = row


def open_time(ms: int, timeframe: int) -> int:
    """Open time of the candle that holds the moment `ms`, in ms UTC; `timeframe` in seconds."""
    return ms - ms % (timeframe * 1000)


def fault(row: Row, timeframe: int, previous: int | None = None) -> str | None:
    """What is wrong with one candle, in a sentence, or None.

    row: (open time in ms, open, high, low, close, volume); previous: open time of the candle before it.
    """
    time, *values = row
    if time < 0 or time % (timeframe * 1000):
        return f"timestamp {time} is not the open time of a {TIMEFRAME_NAMES.get(timeframe, timeframe)} candle."
    if previous is not None and time <= previous:
        return f"timestamp {time} is {'a duplicate' if time == previous else f'out of order, after {previous}'}."
    for name, value in zip(VALUES, values, strict=True):
        if not math.isfinite(value):
            return f"{name} must be a finite number, not {value!r}."
        if value >= TOO_LARGE:
            return f"{name} must be below {TOO_LARGE:.0e}, not {value!r}."
    return _inconsistency(*values)


def _inconsistency(open_: float, high: float, low: float, close: float, volume: float) -> str | None:
    for name, price in zip(VALUES, (open_, high, low, close), strict=False):
        if price <= 0:
            return f"{name} must be above 0, not {price!r}."
    if high < low:
        return f"high {high!r} is below low {low!r}."
    if high < max(open_, close):
        return f"high {high!r} is below open {open_!r} or close {close!r}."
    if low > min(open_, close):
        return f"low {low!r} is above open {open_!r} or close {close!r}."
    return f"volume must be 0 or more, not {volume!r}." if volume < 0 else None


def bad_rows(candles: Candles, timeframe: int, previous: int | None = None) -> NDArray[np.bool_]:
    """Which candles `fault` has something to say about, all at once; each is compared with the one before it."""
    first = -1 if previous is None else previous
    values = np.stack([candles.open, candles.high, candles.low, candles.close, candles.volume])
    with np.errstate(invalid="ignore"):  # comparisons with NaN are the point
        good: NDArray[np.bool_] = (
            (candles.time >= 0)
            & (candles.time % (timeframe * 1000) == 0)
            & (np.diff(candles.time, prepend=first) > 0)
            & (np.abs(values) < TOO_LARGE).all(axis=0)
            & (candles.low > 0)
            & (candles.high >= np.maximum(candles.open, candles.close))
            & (candles.low <= np.minimum(candles.open, candles.close))
            & (candles.volume >= 0)
        )
    return ~good


def check(candles: Candles, timeframe: int, previous: int | None = None) -> None:
    """Candles as they must be to be stored: aligned, ascending, finite, consistent, positive.

    previous: open time of the candle stored before them, if that matters. Raises BadCandle for the first offender.
    """
    bad = np.flatnonzero(bad_rows(candles, timeframe, previous))
    if bad.size:
        row = int(bad[0])
        before = int(candles.time[row - 1]) if row else previous
        sentence = fault(candles.row(row), timeframe, before)
        raise BadCandle(row, f"Candle {row} at {int(candles.time[row])}: {sentence}")


def resample(candles: Candles, source: int, target: int) -> Candles:
    """Candles of `target` seconds made of candles of `source` seconds.

    A candle at either end is left out when its own first or last part is missing, as it may be still forming; holes
    inside are as an exchange has them: a candle of what was traded. The result is the exchange's own
    candles to the last bit. Raises ValueError when target is no multiple.
    """
    if target % source:
        raise ValueError(f"target timeframe must be a multiple of {source} seconds, not {target}.")
    if not len(candles) or source == target:
        return candles
    span = target * 1000
    buckets = candles.time - candles.time % span
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - span))
    ends = np.append(starts[1:], len(candles)) - 1
    result = Candles(
        buckets[starts],
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        _totals(candles.volume, starts),
    )
    begins = int(candles.time[0] != buckets[0])
    complete = int(candles.time[-1]) + source * 1000 == int(buckets[-1]) + span
    return result[begins : len(result) if complete else -1]


_PLACES = 8  # of the volumes that exchanges tell


def _totals(volume: Column, starts: NDArray[np.intp]) -> Column:
    """Sums of the stretches that begin at `starts`, as an exchange has them: sums of decimals, not of their nearest
    floats. Of volumes with more than eight places they stay as they are.
    """
    totals = np.add.reduceat(volume, starts)
    exact = np.rint(volume * 10.0**_PLACES) / 10.0**_PLACES == volume
    # A float keeps fifteen digits, so large sums have fewer places.
    scale = 10.0 ** np.clip(15 - np.ceil(np.log10(np.maximum(totals, 1.0))), 0, _PLACES)
    return np.where(np.logical_and.reduceat(exact, starts), np.rint(totals * scale) / scale, totals)


def gaps(times: Times, timeframe: int) -> list[tuple[int, int]]:
    """Missing stretches between ascending open times: (open time of the first missing, of the next there is)."""
    step = timeframe * 1000
    before = np.flatnonzero(np.diff(times) > step)
    return [(int(times[i]) + step, int(times[i + 1])) for i in before]
