"""Columns for the charts. Pure: numpy only, no Django, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from markets.series import Candles, Column, Times


def seconds(time: Times) -> list[int]:
    """ms UTC to the whole seconds that the chart library counts in."""
    return [int(value) for value in time // 1000]


def numbers(values: Column) -> list[float | None]:
    """JSON knows no NaN: what is not finite becomes null, which the chart draws as a gap."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def candle_columns(candles: Candles) -> dict[str, list[Any]]:
    """time in seconds UTC (open time), open, high, low, close in quote, volume in base: one list each."""
    return {
        "time": seconds(candles.time),
        "open": numbers(candles.open),
        "high": numbers(candles.high),
        "low": numbers(candles.low),
        "close": numbers(candles.close),
        "volume": numbers(candles.volume),
    }


def downsample(time: Sequence[float], value: Sequence[float], most: int) -> tuple[list[float], list[float]]:
    """At most `most` (>= 3) of the points, first and last kept, with the visual shape of all of them.

    Largest-Triangle-Three-Buckets (S. Steinarsson, "Downsampling Time Series for Visual Representation", 2013):
    of each bucket the point that spans the largest triangle with the point kept before and the mean of the next bucket.
    """
    if most < 3:
        raise ValueError(f"most must be at least 3, not {most}.")
    count = len(time)
    if count <= most:
        return list(time), list(value)
    x, y = np.asarray(time, float), np.asarray(value, float)
    edges = np.linspace(1, count - 1, most - 1).astype(int)
    kept = [0]
    for bucket in range(most - 2):
        start, end = edges[bucket], edges[bucket + 1]
        after = slice(end, edges[bucket + 2]) if bucket + 2 < len(edges) else slice(count - 1, count)
        mean_x, mean_y = x[after].mean(), y[after].mean()
        last = kept[-1]
        area = np.abs((x[last] - mean_x) * (y[start:end] - y[last]) - (x[last] - x[start:end]) * (mean_y - y[last]))
        kept.append(int(start + area.argmax()))
    kept.append(count - 1)
    return x[kept].tolist(), y[kept].tolist()


def extremes(value: Column, most: int) -> Times:
    """Indices of at most `most` (>= 4) points, ascending: ends, and the lowest and highest of each stretch."""
    if len(value) <= most:
        return np.arange(len(value))
    edges = np.linspace(0, len(value), (most - 2) // 2 + 1).astype(np.int64)
    pairs = [(begin + value[begin:end].argmin(), begin + value[begin:end].argmax())
             for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]  # fmt: skip
    return np.unique(np.array([0, len(value) - 1, *(index for pair in pairs for index in pair)], np.int64))


def sparkline(values: Sequence[float], width: int = 96, height: int = 24) -> str:
    """Points of an SVG polyline over a box of that size, "" for fewer than two values; y grows downwards."""
    if len(values) < 2:
        return ""
    y = np.asarray(values, float)
    spread = float(y.max() - y.min()) or 1.0
    points = np.empty((len(y), 2))
    points[:, 0] = np.linspace(1, width - 1, len(y))
    points[:, 1] = height - 2 - (y - y.min()) / spread * (height - 4)
    # All in one go: a list has many, and to write each number by itself takes several times as long.
    return " ".join(["%.1f,%.1f"] * len(y)) % tuple(points.ravel().tolist())


def markers(trades: Iterable[tuple[int, str, float, float]], timeframe: int) -> dict[str, list[Any]]:
    """Trades (ms UTC, side, price, amount) gathered per candle and side, so that busy candles stay legible.

    timeframe: seconds. time: open time of the candle in seconds; price: mean, weighted by amount; count: trades.
    """
    gathered: dict[tuple[int, str], list[float]] = {}
    for time, side, price, amount in trades:
        candle = time // 1000 // timeframe * timeframe
        totals = gathered.setdefault((candle, side), [0.0, 0.0, 0])
        totals[0] += price * amount
        totals[1] += amount
        totals[2] += 1
    keys = sorted(gathered)
    sums = [gathered[key] for key in keys]
    return {
        "time": [time for time, _ in keys],
        "side": [side for _, side in keys],
        "price": [cost / amount if amount else None for cost, amount, _ in sums],
        "amount": [amount for _, amount, _ in sums],
        "count": [int(count) for _, _, count in sums],
    }
