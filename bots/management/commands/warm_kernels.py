from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from bots import warming
from orchestrator import kernels


class Command(BaseCommand):
    help = "Compile the engine for every kind and the metrics, so that no first request has to."

    def handle(self, **options: Any) -> None:
        began, cache = time.perf_counter(), Path(os.environ["NUMBA_CACHE_DIR"])
        if warming.compiles() and not any(cache.rglob("*.nbi")) and (processes := kernels.cores()) > 1:
            warming.compile_all(cache, processes)
        count = warming.load()
        self.stdout.write(f"{count} kinds compiled in {time.perf_counter() - began:.1f} s")
