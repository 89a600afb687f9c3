from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from bots import runs
from bots.engine.types import BEST, EXPECTED, WORST
from bots.kinds.parameters import ParamsError
from bots.management.commands._series import Asked, SeriesCommand
from orchestrator.commands import bad_input


class Command(SeriesCommand):
    help = "Run a kind over stored candles, in memory: what would it have done?"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--bounds",
            action="store_true",
            help="Also where it would have ended had each candle gone the worse, or the better, of its two ways.",
        )

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        asked = self.asked(options)
        engine_began = time.perf_counter()
        try:
            asked.check()
        except ParamsError as error:
            raise bad_input(str(error)) from None
        result = _backtest(asked, EXPECTED)
        seconds = time.perf_counter() - engine_began
        bounds = {}
        if options["bounds"]:
            ends = {"worst_equity": WORST, "best_equity": BEST}
            bounds = {name: float(_backtest(asked, path).steps.equity[-1]) for name, path in ends.items()}
        self.report(asked, options, result.trades, result.payments, seconds, began, bounds)


def _backtest(asked: Asked, path: int) -> runs.Backtest:
    return runs.backtest(asked.kind, asked.params, asked.market, asked.timeframe, asked.capital, asked.candles, path)
