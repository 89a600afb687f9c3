"""What is true of candles and yet hardly can be: found as they arrive, told once. Pure.

A spike: high or low more than 20 % away from the close of the candle just before. Zero volume: three candles in a row
that nothing was traded in, on a market where that is unusual, or one in which the price moved all the same. Odd volume:
more than 50 times the usual. A stuck price: one and the same for an hour's worth of 60 candles, while it is traded.
Usual is the median of the 60 candles before; it has to be known, and where it is 0 nothing about volume is odd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from markets.series import Candles, Column

WINDOW = 60  # candles before one that it is compared with
SPIKE = 0.2
ODD = 50.0
SILENT = 3  # candles without volume

Flags = NDArray[np.bool_]


class Oddity(NamedTuple):
    """times: open times, ms UTC, ascending, of the candles that show it; sentence: about the last of them."""

    code: str
    times: list[int]
    sentence: str


def oddities(candles: Candles, since: int, timeframe: int) -> list[Oddity]:
    """What is odd in the candles that open at `since` (ms UTC) or later; those before are what they are judged by."""
    if not len(candles):
        return []
    first = int(np.searchsorted(candles.time, since))
    usual = _usual(candles.volume)
    found = []
    for code, (flags, sentence) in _judged(candles, usual, timeframe).items():
        rows = first + np.flatnonzero(flags[first:])
        if rows.size:
            found.append(Oddity(code, candles.time[rows].tolist(), sentence(int(rows[-1]))))
    return found


def _judged(candles: Candles, usual: Column, timeframe: int) -> dict[str, tuple[Flags, Callable[[int], str]]]:
    """Code -> which candles show it, and the sentence about one of them."""
    away = _away(candles, timeframe * 1000)
    return {
        "price_spike": (
            np.abs(away) > SPIKE,
            lambda row: f"The price moved {away[row]:+.1%} from {candles.close[row - 1]:.8g} within one candle.",
        ),
        "zero_volume": (
            _silent(candles, usual),
            lambda row: (
                f"Nothing was traded, where {usual[row]:.8g} a candle are usual."
                if candles.high[row] == candles.low[row]
                else "The price moved while nothing was traded."
            ),
        ),
        "odd_volume": (
            (usual > 0) & (candles.volume > ODD * usual),
            lambda row: (
                f"The volume {candles.volume[row]:.8g} is {candles.volume[row] / usual[row]:.0f} times the "
                f"usual {usual[row]:.8g}."
            ),
        ),
        "stuck_price": (
            _stuck(candles),
            lambda row: f"The price has been {candles.close[row]:.8g} for {WINDOW} candles or longer.",
        ),
    }


def _away(candles: Candles, step: int) -> Column:
    """How far a candle reaches from the close just before it, at most, as a fraction; 0 after a hole."""
    before = candles.close[:-1]
    up, down = candles.high[1:] / before - 1, candles.low[1:] / before - 1
    away = np.where(up > -down, up, down)
    return np.concatenate([[0.0], np.where(np.diff(candles.time) == step, away, 0.0)])


def _usual(volume: Column) -> Column:
    """Median of the WINDOW candles before each; 0 where there are not so many."""
    usual = np.zeros(len(volume))
    if len(volume) > WINDOW:
        usual[WINDOW:] = np.median(sliding_window_view(volume[:-1], WINDOW), axis=1)
    return usual


def _silent(candles: Candles, usual: Column) -> Flags:
    none = candles.volume == 0
    silent: Flags = none & ((candles.high > candles.low) | (_lasting(none, SILENT) & (usual > 0)))
    return silent


def _stuck(candles: Candles) -> Flags:
    still = (candles.high == candles.low) & np.concatenate([[True], candles.close[1:] == candles.close[:-1]])
    traded = np.cumsum(candles.volume > 0)
    recently = traded - np.concatenate([np.zeros(WINDOW, np.int64), traded])[: len(traded)] > 0
    stuck: Flags = _lasting(still, WINDOW) & recently
    return stuck


def _lasting(flags: Flags, count: int) -> Flags:
    """Whether a flag and the count - 1 before it are all set."""
    lasting = np.zeros(len(flags), np.bool_)
    if len(flags) >= count:
        lasting[count - 1 :] = sliding_window_view(flags, count).all(axis=1)
    return lasting
