"""Indicator values that do not depend on how many candles were loaded: the same bits in a backtest and in a worker.

A recursive indicator remembers its first candle for ever, and a running sum its rounding. So time is cut into blocks
from the epoch on, and the values of a block are computed over its candles and those of its lead before it, nothing
older: whoever has these has the same values. What is left out counts less than 1e-9 of a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.indicators import bound, indicator
from markets.series import Candles, Column, Times, resample

BLOCK = 4096  # candles; long against the usual lead, short enough that a worker can load it


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one block: its own are first to end, those it is computed over lead to end."""

    lead: int
    first: int
    end: int


def block_candles(source: int, target: int) -> int:
    """Length of a block of a timeframe, in its own candles, when it is made of candles of `source` seconds.

    About the same time as a block of the source, so that a high timeframe does not need years before its first value.
    """
    return -(-BLOCK * source // target)


def starts(time: Times, timeframe: int, length: int) -> Times:
    """Starts, ms UTC, of the blocks of `length` candles of `timeframe` seconds that hold any of the times."""
    if not time.size:
        return np.empty(0, np.int64)
    span = length * timeframe * 1000
    possible = np.arange(time[0] // span, time[-1] // span + 1, dtype=np.int64) * span
    rows = np.searchsorted(time, np.append(possible, possible[-1] + span))
    return np.asarray(possible[np.diff(rows) > 0])


def blocks(time: Times, timeframe: int, length: int, memory: int) -> list[Block]:
    """The blocks of a column of open times, each with `memory` candles' time before it."""
    begins = starts(time, timeframe, length)
    rows = [np.searchsorted(time, begins - back) for back in (memory * timeframe * 1000, 0, -length * timeframe * 1000)]
    return [Block(*row) for row in zip(*(part.tolist() for part in rows), strict=True)]


def columns(
    name: str, parameters: Mapping[str, float], candles: Candles, timeframe: int, source: int
) -> dict[str, Column]:
    """Output -> column as long as the candles (of `timeframe` seconds, made of `source`), NaN while warming up."""
    chosen = indicator(name)
    found = {output: np.empty(len(candles)) for output in chosen.outputs}
    length, memory = block_candles(source, timeframe), chosen.memory(parameters)
    whole = bound(name, candles, parameters)
    for block in blocks(candles.time, timeframe, length, memory):
        for output, column in zip(whole.outputs, whole.over(block.lead, block.end), strict=True):
            found[output][block.first : block.end] = column[block.first - block.lead :]
    return found


def closed_rows(candles: Candles, timeframe: int, source: int) -> tuple[Candles, NDArray[np.int64]]:
    """Candles of a higher timeframe, and for every candle the row of the last of them closed by its own close.

    The row is -1 where there is none yet. No look-ahead: a higher candle is seen from the close that ends it on.
    """
    higher = resample(candles, source, timeframe)
    ends = higher.time + timeframe * 1000
    # Where each of the few becomes visible, counted up: much cheaper than a search for each of the many.
    since = np.searchsorted(candles.time + source * 1000, ends)
    steps = np.bincount(since, minlength=len(candles) + 1)[: len(candles)]
    return higher, np.cumsum(steps, dtype=np.int64) - 1
