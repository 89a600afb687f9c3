from __future__ import annotations

import time
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand

from bots.engine.reactions import closed, react
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, step
from bots.engine.types import TRADE, Terms
from bots.kinds import KINDS
from bots.performance import Curve, Trades, metrics
from markets.series import Candles

BAR = Candles.from_rows([(0, 100.0, 101.0, 99.0, 100.0, 1.0)])
UNKNOWN = np.full(1, np.nan)


class Command(BaseCommand):
    help = "Compile the engine for every kind and the metrics, so that no first request has to."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        for kind in KINDS.values():
            params = kind.read(kind.example)
            columns = dict.fromkeys(kind.columns(params), UNKNOWN)
            seen = kind.observe(params, BAR, 60, columns) if kind.observe else NOTHING_SEEN
            engine = Engine.new(kind, params, Terms(margin=kind.margin), 1000.0)
            step(engine, BAR, seen)
            react(engine, closed(60_000, 100.0))
        metrics(Curve.of(BAR, np.array([1000.0]), 1000.0, 60), Trades.of(np.zeros(1, TRADE)))
        self.stdout.write(f"{len(KINDS)} kinds compiled in {time.perf_counter() - began:.1f} s")
