from __future__ import annotations

import time
from typing import Any

from bots import runs, services
from bots.kinds.parameters import ParamsError
from bots.management.commands._series import SeriesCommand
from orchestrator.commands import bad_input


class Command(SeriesCommand):
    help = "Run a kind over stored candles, in memory: what would it have done?"

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        asked = self.asked(options)
        engine_began = time.perf_counter()
        try:
            services.validate(asked.kind, asked.params, asked.market, asked.timeframe, asked.capital)
            result = runs.backtest(
                asked.kind, asked.params, asked.market, asked.timeframe, asked.capital, asked.candles
            )
        except ParamsError as error:
            raise bad_input(str(error)) from None
        seconds = time.perf_counter() - engine_began
        self.report(asked, options, result.trades, result.payments, seconds, began)
