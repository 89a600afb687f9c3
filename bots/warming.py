"""Machine code of the engine and the metrics, loaded before anybody waits for it; compiled where it is not on disk."""

from __future__ import annotations

from functools import cache

import numpy as np

from bots.engine.reactions import closed, react
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, step
from bots.engine.types import TRADE, Terms
from bots.kinds import KINDS
from bots.performance import Curve, Trades, metrics
from markets.series import Candles

BAR = Candles.from_rows([(0, 100.0, 101.0, 99.0, 100.0, 1.0)])
UNKNOWN = np.full(1, np.nan)


@cache
def load() -> int:
    """Lead every kind through a candle, in a backtest and live; returns how many kinds there are."""
    for kind in KINDS.values():
        terms = Terms(margin=kind.margin)
        params = kind.validate(kind.example, terms, 1000.0)
        columns = dict.fromkeys(kind.columns(params), UNKNOWN)
        seen = kind.observe(params, BAR, 60, columns) if kind.observe else NOTHING_SEEN
        engine = Engine.new(kind, params, terms, 1000.0)
        step(engine, BAR, seen)
        react(engine, closed(60_000, 100.0))
    metrics(Curve.of(BAR, np.array([1000.0]), 1000.0, 60), Trades.of(np.zeros(1, TRADE)))
    return len(KINDS)
