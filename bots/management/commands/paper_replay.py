from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from bots import runs, services
from bots.bars import SeriesBars
from bots.kinds.parameters import ParamsError
from bots.management.commands._series import Asked, SeriesCommand
from bots.models import Account, Bot, FundingPayment, Mode, Run, Trade
from markets.series import Candles
from orchestrator.commands import bad_input

OWNER = "paper-replay"


class Command(SeriesCommand):
    help = "Lead a paper bot through stored candles one at a time, through the database, as the worker does."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        asked = self.asked(options)
        try:
            services.validate(asked.kind, asked.params, asked.market, asked.timeframe, asked.capital)
        except ParamsError as error:
            raise bad_input(str(error)) from None
        _forget_killed()
        run = _new_run(asked)
        try:
            engine_began = time.perf_counter()
            _replay(run, asked.candles)
            seconds = time.perf_counter() - engine_began
            trades = list(Trade.objects.filter(run=run).order_by("number"))
            payments = list(FundingPayment.objects.filter(run=run).order_by("time"))
            self.report(asked, options, trades, payments, seconds, began)
        finally:
            _forget(run.bot)


@transaction.atomic
def _new_run(asked: Asked) -> Run:
    """A run of a bot that no person sees, of an owner of its own; the worker leaves its mode alone."""
    name = f"{OWNER} {time.time_ns()}"
    owner = get_user_model().objects.create(username=name, password="!", is_active=False)
    account = Account.objects.create(owner=owner, name=name, exchange=asked.market.exchange, mode=Mode.REPLAY)
    bot = Bot.objects.create(
        owner=owner, account=account, market=asked.market, name=name, kind=asked.kind,
        timeframe=asked.timeframe, allocation=asked.capital, params=asked.params,
    )  # fmt: skip
    return services.new_run(bot, int(asked.candles.time[0]))


@transaction.atomic
def _forget(bot: Bot) -> None:
    """Leave nothing behind: the trades of a replay are play, the only ones that are ever deleted."""
    Trade.objects.filter(bot=bot, mode=Mode.REPLAY).delete()
    FundingPayment.objects.filter(bot=bot, run__mode=Mode.REPLAY).delete()
    bot.runs.all().delete()
    bot.delete()
    bot.account.delete()
    bot.owner.delete()


def _forget_killed() -> None:
    """What replays that were killed left behind."""
    day_ago = timezone.now() - timedelta(days=1)
    for bot in Bot.objects.filter(account__mode=Mode.REPLAY, created_at__lt=day_ago).select_related("account", "owner"):
        _forget(bot)


def _replay(run: Run, candles: Candles) -> None:
    """Every candle is a transaction of its own. A bot that ends itself sees no more."""
    with connection.cursor() as cursor:
        # A crash may cost the last moments of a replay, which nobody would miss.
        cursor.execute("SET synchronous_commit TO off")
    claim, series = Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING), SeriesBars(candles)
    for series.shown in range(len(candles)):
        if not runs.advance(claim, series):
            break
