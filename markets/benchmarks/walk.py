"""The candles that benchmarks and the reference job run over."""

from __future__ import annotations

import numpy as np

from markets.series import Candles

FIRST_MS = 1_672_531_200_000  # 2023-01-01


def random_walk(count: int, seed: int) -> Candles:
    """One-minute candles of a geometric random walk, eight steps a minute, 60 % volatility a year, in cents.

    The same for ever: numpy keeps RandomState's stream.
    """
    random = np.random.RandomState(seed)
    each = 0.60 / np.sqrt(365 * 86_400_000 / 60_000 * 8)
    walk = np.cumsum(each * random.standard_normal(count * 8) - 0.5 * each**2)
    prices = np.round(30_000.0 * np.exp(walk), 2).reshape(count, 8)
    time = FIRST_MS + np.arange(count, dtype=np.int64) * 60_000
    columns = (prices[:, 0], prices.max(1), prices.min(1), prices[:, -1], np.ones(count))
    return Candles(time, *(np.ascontiguousarray(column) for column in columns))
