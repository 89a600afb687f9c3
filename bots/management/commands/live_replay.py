from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from bots import live, live_margin
from bots.brokers import ExchangeBroker, exchange_account, run_leverage
from bots.kinds.parameters import ParamsError
from bots.management.commands._replay import forget, forget_killed, hurry, new_run
from bots.management.commands._series import Asked, SeriesCommand
from bots.models import FundingPayment, LiveSession, Run, Trade
from markets.simulated_money import deposit
from markets.trading import SimulatedTrading
from orchestrator.commands import bad_input

# Beside the capital: as much as the engine takes for float noise. On a swap it stays out of the margin.
SPARE = Decimal("1e-9")


class Command(SeriesCommand):
    help = "Lead a live bot through stored candles: the simulated exchange fills, through the database, as the worker."

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
            _replay(run, asked)
            seconds = time.perf_counter() - engine_began
            trades = list(Trade.objects.filter(run=run).order_by("number"))
            payments = list(FundingPayment.objects.filter(run=run).order_by("time"))
            self.report(asked, options, trades, payments, seconds, began)
        finally:
            forget(run.bot)


def _replay(run: Run, asked: Asked) -> None:
    """Every moment is a transaction of its own, on the exchange and here."""
    hurry()
    account = exchange_account(run.bot.account_id)
    deposit(asked.market.exchange, account, {asked.market.quote: asked.capital * (1 + SPARE)})
    live_margin.open_session(run)
    trading = SimulatedTrading(asked.market, account, f"r{run.pk}", asked.timeframe, run.bar_time, run_leverage(run))
    _, answered = live.advance(run.pk, ExchangeBroker(trading), int(asked.candles.time[-1]))
    if not answered:
        raise bad_input(f"the exchange does not answer: {LiveSession.objects.get(run=run).trouble}")
