from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand

from bots import warming


class Command(BaseCommand):
    help = "Compile the engine for every kind and the metrics, so that no first request has to."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        count = warming.load()
        self.stdout.write(f"{count} kinds compiled in {time.perf_counter() - began:.1f} s")
