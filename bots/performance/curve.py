"""An equity curve and its falls from the peaks before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from markets.series import Candles, Column, Times

# Points that are looked at together: several to an instruction. An index that cannot be negative (np.uint64) spares the
# question whether it counts from the end.
STRIDE = 16

# What one pass over a curve finds; moments in ms UTC. The first four are of the deepest fall.
FALLS = np.dtype(
    [
        ("depth", "f8"),  # lowest equity over the peak before it, less 1; 0 when it never fell
        ("peak", "i8"),  # last moment at the peak
        ("low", "i8"),
        ("until", "i8"),  # back at the peak, or the end of the curve
        ("recovered", "i8"),
        ("bars", "i8"),  # that closed below a peak, over all falls
        ("longest", "i8"),  # time from a peak until its recovery or the end, ms
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Mark-to-market equity of a run in quote, a point a bar.

    time: open time of each bar, ms UTC, ascending; equity: at its close; both shape (bars,), at least one.
    capital: equity when the first bar opened. timeframe: length of a bar, seconds. opened, closed: price at which the
    first bar opened and the last one closed. Raises ValueError when these cannot be.
    """

    time: Times
    equity: Column
    capital: float
    timeframe: int
    opened: float
    closed: float

    def __post_init__(self) -> None:
        if not len(self.equity) or len(self.time) != len(self.equity):
            raise ValueError(
                f"equity must have one point for each time, at least one, not {len(self.equity)} for {len(self.time)}."
            )
        for name in ("capital", "timeframe", "opened", "closed"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {value}.")

    @classmethod
    def of(cls, candles: Candles, equity: Column, capital: float, timeframe: int) -> Curve:
        """Of equity at the closes of candles. Raises ValueError when there are none."""
        if not len(candles):
            raise ValueError("candles must be at least one, not 0.")
        return cls(candles.time, equity, capital, timeframe, float(candles.open[0]), float(candles.close[-1]))

    @property
    def begin(self) -> int:
        """When the first bar opened."""
        return int(self.time[0])

    @property
    def end(self) -> int:
        """When the last bar closed."""
        return int(self.time[-1]) + self.timeframe * 1000


def falls(curve: Curve) -> Any:
    """The falls of a curve, a FALLS record. Raises ValueError for equity that is not finite."""
    found = np.zeros(1, FALLS)
    time, equity = fixed(curve.time, np.int64), fixed(curve.equity, np.float64)
    wrong = _scan(time, equity, float(curve.capital), curve.timeframe * 1000, found[0])
    if wrong >= 0:
        raise ValueError(f"equity must be finite, not {equity[wrong]} at point {wrong}.")
    return found[0]


def fixed(column: Any, dtype: Any) -> Any:
    """A read-only contiguous view, so that compiled code sees one type of array whoever made it."""
    view: Any = np.ascontiguousarray(column, dtype).view()
    view.flags.writeable = False
    return view


@njit(cache=True, forceinline=True)
def _lowest_below(equity: Any, i: int, peak: float) -> float:
    """The lowest of a stride of points from i on, when all are finite and below a peak; else NaN."""
    lows = (math.inf, math.inf, math.inf, math.inf)  # four at a time, so that none waits for the one before
    below = True
    for k in range(0, STRIDE, 4):
        at = np.uint64(i + k)
        a, b, c, d = equity[at], equity[at + np.uint64(1)], equity[at + np.uint64(2)], equity[at + np.uint64(3)]
        below &= (a < peak) & (b < peak) & (c < peak) & (d < peak)
        lows = (min(a, lows[0]), min(b, lows[1]), min(c, lows[2]), min(d, lows[3]))
    lowest = min(min(lows[0], lows[1]), min(lows[2], lows[3]))
    return lowest if below and lowest > -math.inf else math.nan


@njit(cache=True, nogil=True)
def _scan(time: Any, equity: Any, capital: float, bar: int, found: Any) -> int:
    """Fill in the record; returns the index of a point that is not finite, else -1.

    Two comparisons a point: depth is computed once a fall, and what is not finite can only be a new peak or a new low.
    """
    peak = low = capital
    peak_at = low_at = -1  # the low is less than a stride behind
    begin = 0
    while begin < len(equity):
        end = min(begin + STRIDE, len(equity))
        lowest = _lowest_below(equity, begin, peak) if begin + STRIDE == end else math.nan
        if not math.isnan(lowest):
            if lowest < low:
                low, low_at = lowest, begin
            begin = end
            continue
        for i in range(begin, end):
            value = equity[i]
            if value >= peak:
                _end_fall(time, equity, bar, low, peak, low_at, peak_at, i, found)
                peak = low = value
                peak_at = i
            elif not value >= low:
                low, low_at = value, i
                if not math.isfinite(value):
                    return i
        begin = end
    if peak == math.inf:
        return peak_at
    _end_fall(time, equity, bar, low, peak, low_at, peak_at, len(equity), found)
    return -1


@njit(cache=True)
def _end_fall(
    time: Any, equity: Any, bar: int, low: float, peak: float, low_at: int, peak_at: int, back_at: int, found: Any
) -> None:
    """Book a fall that ended at point back_at, the number of points when it did not. A peak at -1 is the capital.

    low_at: a point from which on the next one that low is the lowest. Nothing when there was no fall.
    """
    if low == peak:
        return
    began = time[peak_at] + bar if peak_at >= 0 else time[0]
    until = time[min(back_at, len(time) - 1)] + bar
    found["bars"] += back_at - peak_at - 1
    found["longest"] = max(found["longest"], until - began)
    depth = low / peak - 1.0
    if depth < found["depth"]:
        while equity[low_at] != low:
            low_at += 1
        found["depth"], found["peak"], found["low"] = depth, began, time[low_at] + bar
        found["until"], found["recovered"] = until, back_at < len(time)


class Depths:
    """The deepest falls of several curves that come in pieces: as falls() has them of each whole one, to the bit."""

    def __init__(self, curves: int, capital: float) -> None:
        self._peaks, self._lows = np.full(curves, capital), np.full(curves, capital)
        self._ended = np.zeros(curves)  # depth of the deepest fall that is over

    def add(self, curves: Column, points: int) -> None:
        """The next points of every curve; curves: shape (curves, points at least). Raises ValueError: not finite."""
        if _deepen(curves, points, self._peaks, self._lows, self._ended) >= 0:
            raise ValueError("equity must be finite.")

    def deepest(self) -> Column:
        """Fractions, 0 or below; shape (curves,)."""
        return np.asarray(np.minimum(self._ended, self._lows / self._peaks - 1.0))


@njit(cache=True, nogil=True)
def _deepen(curves: Any, points: int, peaks: Any, lows: Any, ended: Any) -> int:
    """Go on with every curve, as _scan() does; returns the index of one that is not finite, else -1."""
    for row in range(len(curves)):
        equity, peak, low = curves[row, :points], peaks[row], lows[row]
        begin = 0
        while begin < points:
            end = min(begin + STRIDE, points)
            lowest = _lowest_below(equity, begin, peak) if begin + STRIDE == end else math.nan
            if not math.isnan(lowest):
                low = min(low, lowest)
                begin = end
                continue
            for i in range(begin, end):
                value = equity[i]
                if value >= peak:
                    ended[row] = min(ended[row], low / peak - 1.0)
                    peak = low = value
                elif not value >= low:
                    low = value
            begin = end
        if not math.isfinite(peak) or not math.isfinite(low):
            return row
        peaks[row], lows[row] = peak, low
    return -1
