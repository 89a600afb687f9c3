"""Columnar candles and timeframe arithmetic. Pure: numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.int64]
Column: TypeAlias = NDArray[np.float64]

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
