from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import Terms
from bots.kinds import KINDS
from markets.series import Candles


class Command(BaseCommand):
    help = "Compile the engine for every kind, so that no first request has to."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        for kind in KINDS.values():
            engine = Engine.new(kind, kind.read(kind.example), Terms(), 1000.0)
            step(engine, Candles.from_rows([(0, 100.0, 101.0, 99.0, 100.0, 1.0)]))
        self.stdout.write(f"{len(KINDS)} kinds compiled in {time.perf_counter() - began:.1f} s")
