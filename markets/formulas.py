"""How the indicators are computed, through TA-Lib, and how much they remember. Pure: columns in, columns out.

Formulas are in docstrings, with their sources. n is the period, TR the true range, TP the typical price
(high + low + close) / 3. What a function is given: talib, and the parameters by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import unwrap
from typing import Any

import numpy as np

from markets.series import Column

Parameters = Mapping[str, float]
# Columns of candles -> a column an output; a single one may stand for itself.
Function = Callable[..., Any]


def window(p: Parameters) -> int:
    """Of a function of the last `period` candles."""
    return int(p["period"])


def exponential(p: Parameters) -> int:
    """(1 - 2 / (n + 1))^k is below 1e-9 from k = 10.4 n on; n more for the mean that it starts from."""
    return 12 * int(p["period"])


def wilder(p: Parameters) -> int:
    """(1 - 1 / n)^k is below 1e-9 from k = 20.8 n on; n more for the mean that it starts from."""
    return 22 * int(p["period"])


def macd_memory(p: Parameters) -> int:
    """An average of an average."""
    return 12 * int(max(p["fast"], p["slow"]) + p["signal"])


def moves(p: Parameters) -> int:
    """Of the last `period` moves from candle to candle."""
    return int(p["period"]) + 1


def all_windows(p: Parameters) -> int:
    """Means of means."""
    return int(sum(p.values()))


def double_wilder(p: Parameters) -> int:
    """Wilder's average of something that is made of his averages."""
    return 2 * wilder(p)


def keltner_memory(p: Parameters) -> int:
    """n more for the average range, which begins where the average price can."""
    return int(max(12 * p["period"], p["period"] + 22 * p["atr_period"]))


def supertrend_memory(p: Parameters) -> int:
    """No bound holds for sure: two that began apart agree from the first turn on that both see."""
    return 100 * int(p["period"])


def ichimoku_memory(p: Parameters) -> int:
    """The cloud is as old as the base is long."""
    return int(max(p.values()) + p["base"])


# What TA-Lib wraps around its functions asks every argument whether it is pandas': that takes as long as an average of
# a thousand candles.
def sma(talib: Any, p: Parameters) -> Function:
    """Mean of the last n closes."""
    return partial(unwrap(talib.SMA), timeperiod=int(p["period"]))


def ema(talib: Any, p: Parameters) -> Function:
    """e + (close - e) 2 / (n + 1), beginning with the mean of the first n closes."""
    return partial(unwrap(talib.EMA), timeperiod=int(p["period"]))


def wma(talib: Any, p: Parameters) -> Function:
    """Mean of the last n closes, weighted 1 (the oldest) to n."""
    return partial(unwrap(talib.WMA), timeperiod=int(p["period"]))


def rsi(talib: Any, p: Parameters) -> Function:
    """100 gains / (gains + losses), each Wilder's average of n moves (Wilder, New Concepts, 1978)."""
    return partial(unwrap(talib.RSI), timeperiod=int(p["period"]))


def macd(talib: Any, p: Parameters) -> Function:
    """EMA(fast) - EMA(slow), its EMA(signal), and their difference (Appel, 1979)."""
    periods = {"fastperiod": int(p["fast"]), "slowperiod": int(p["slow"]), "signalperiod": int(p["signal"])}
    return partial(unwrap(talib.MACD), **periods)


def bollinger(talib: Any, p: Parameters) -> Function:
    """SMA(n) and so many standard deviations (of the population) to both sides (Bollinger, 1983)."""
    width = p["deviations"]
    return partial(unwrap(talib.BBANDS), timeperiod=int(p["period"]), nbdevup=width, nbdevdn=width)


def atr(talib: Any, p: Parameters) -> Function:
    """Wilder's average of n TR, the larger of high and last close less the smaller of low and last close."""
    return partial(unwrap(talib.ATR), timeperiod=int(p["period"]))


def adx(talib: Any, p: Parameters) -> Function:
    """+DI and -DI: Wilder's sums of n upward or downward moves in percent of those of TR; ADX: Wilder's average of
    100 |+DI - -DI| / (+DI + -DI). All from the first ADX on (Wilder, New Concepts, 1978).
    """
    functions = [unwrap(function) for function in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)]

    def lines(high: Column, low: Column, close: Column) -> tuple[Column, ...]:
        return _together(*(function(high, low, close, timeperiod=int(p["period"])) for function in functions))

    return lines


def stochastic(talib: Any, p: Parameters) -> Function:
    """k: SMA(smooth) of where in the range of the last n candles the close is, 0 to 100; d: SMA(signal) of k (Lane).
    A range of nothing counts as 0.
    """
    periods = {"fastk_period": int(p["period"]), "slowk_period": int(p["smooth"]), "slowd_period": int(p["signal"])}
    return partial(unwrap(talib.STOCH), **periods)


def cci(talib: Any, p: Parameters) -> Function:
    """(TP - SMA(TP)) / (0.015 x mean absolute deviation of the last n TP from it) (Lambert, 1980)."""
    return partial(unwrap(talib.CCI), timeperiod=int(p["period"]))


def obv(talib: Any, p: Parameters) -> Function:
    """On balance volume gained over the last n candles: volumes of rises less those of falls (Granville, 1963).

    The level of the endless sum depends on where one begins, its changes do not.
    """
    total, before = unwrap(talib.OBV), int(p["period"])

    def gained(close: Column, volume: Column) -> Column:
        column = np.full(len(close), np.nan)
        sums = total(close, volume)
        column[before:] = sums[before:] - sums[:-before]
        return column

    return gained


def vwap(talib: Any, p: Parameters) -> Function:
    """Sum of TP x volume over the last n candles by the sum of their volume; TP where nothing was traded.

    Over a window, not from midnight on, so that it means the same on every timeframe.
    """
    over, (total, lowest, highest) = {"timeperiod": int(p["period"])}, map(unwrap, (talib.SUM, talib.MIN, talib.MAX))

    def average(high: Column, low: Column, close: Column, volume: Column) -> Column:
        typical = (high + low + close) / 3
        weight = total(volume, **over)
        with np.errstate(all="ignore"):
            column = np.where(weight > 0, total(typical * volume, **over) / weight, typical)
        # A running sum may leave a residue where there was no volume; an average lies within.
        return np.clip(column, lowest(typical, **over), highest(typical, **over))

    return average


def donchian(talib: Any, p: Parameters) -> Function:
    """Highest high and lowest low of the last n candles, and the middle (Donchian)."""
    return partial(unwrap(talib.DONCHIAN), timeperiod=int(p["period"]))


def keltner(talib: Any, p: Parameters) -> Function:
    """EMA(n) of TP and so many ATR to both sides (Keltner, 1960; with EMA and ATR: Raschke)."""
    return partial(unwrap(talib.KC), timeperiod=int(p["period"]), atrperiod=int(p["atr_period"]), nbdev=p["multiplier"])


def supertrend(talib: Any, p: Parameters) -> Function:
    """Below the close in a rise, above it in a fall: (high + low) / 2 less or plus so many ATR(n), never loosened until
    the close breaks through (Seban).
    """
    function = partial(unwrap(talib.SUPERTREND), timeperiod=int(p["period"]), multiplier=p["multiplier"])
    return lambda high, low, close: function(high, low, close)[0]


def ichimoku(talib: Any, p: Parameters) -> Function:
    """Middles between highest high and lowest low: conversion and base of the last so many candles, and the cloud that
    lies at the candle: span_a, their mean, and span_b, the middle of the last `span`, both of base - 1 candles before
    (Hosoda, 1969). The lagging line is the close, drawn in the past: it would look ahead.
    """
    middle, back = unwrap(talib.MIDPRICE), int(p["base"]) - 1

    def lines(high: Column, low: Column) -> tuple[Column, ...]:
        conversion, base, span = (middle(high, low, timeperiod=int(p[name])) for name in ("conversion", "base", "span"))
        return _together(conversion, base, _later((conversion + base) / 2, back), _later(span, back))

    return lines


def _later(column: Column, rows: int) -> Column:
    return np.concatenate([np.full(min(rows, len(column)), np.nan), column[: max(len(column) - rows, 0)]])


def _together(*columns: Column) -> tuple[Column, ...]:
    """Columns that begin where the last of them does."""
    unknown = np.isnan(np.sum(columns, axis=0))
    for column in columns:
        column[unknown] = np.nan
    return columns
