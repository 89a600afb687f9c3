from __future__ import annotations

import time
from typing import Any

from bots import runs
from bots.bars import SeriesBars
from bots.kinds.parameters import ParamsError
from bots.management.commands._replay import forget, forget_killed, hurry, new_run
from bots.management.commands._series import SeriesCommand
from bots.models import FundingPayment, Run, Trade
from markets.series import Candles
from orchestrator.commands import bad_input


class Command(SeriesCommand):
    help = "Lead a paper bot through stored candles one at a time, through the database, as the worker does."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        asked = self.asked(options)
        try:
            asked.check()
        except ParamsError as error:
            raise bad_input(str(error)) from None
        forget_killed()
        run = new_run(asked)
        try:
            engine_began = time.perf_counter()
            _replay(run, asked.candles)
            seconds = time.perf_counter() - engine_began
            trades = list(Trade.objects.filter(run=run).order_by("number"))
            payments = list(FundingPayment.objects.filter(run=run).order_by("time"))
            self.report(asked, options, trades, payments, seconds, began)
        finally:
            forget(run.bot)


def _replay(run: Run, candles: Candles) -> None:
    """Every candle is a transaction of its own. A bot that ends itself sees no more."""
    hurry()
    claim, series = Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING), SeriesBars(candles)
    for series.shown in range(len(candles)):
        if not runs.advance(claim, series):
            break
