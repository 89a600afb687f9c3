from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from bots import runs, services
from bots.kinds.contract import ParamsError
from bots.management.commands._series import Asked, SeriesCommand
from bots.models import Account, Bot, Mode, Run, Trade
from markets.series import Candles

OWNER = "paper-replay"


class Command(SeriesCommand):
    help = "Lead a paper bot through stored candles one at a time, through the database, as the worker does."

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        asked = self.asked(options)
        try:
            services.validate(asked.kind, asked.params, asked.market, asked.capital)
        except ParamsError as error:
            raise CommandError(str(error), returncode=2) from None
        run = _new_run(asked)
        try:
            engine_began = time.perf_counter()
            _replay(run, asked.candles)
            seconds = time.perf_counter() - engine_began
            trades = list(Trade.objects.filter(run=run).order_by("number"))
            self.report(asked, options, trades, seconds, began)
        finally:
            run.bot.delete()


def _new_run(asked: Asked) -> Run:
    """A run of a bot that no person sees; the worker leaves its mode alone."""
    owner, _ = get_user_model().objects.get_or_create(username=OWNER, defaults={"is_active": False, "password": "!"})
    # What a killed replay left behind.
    Bot.objects.filter(owner=owner, created_at__lt=timezone.now() - timedelta(days=1)).delete()
    account, _ = Account.objects.get_or_create(
        owner=owner, name=asked.market.exchange.slug, exchange=asked.market.exchange, defaults={"mode": Mode.REPLAY}
    )
    bot = Bot.objects.create(
        owner=owner, account=account, market=asked.market, name=f"replay {time.time_ns()}", kind=asked.kind,
        timeframe=asked.timeframe, allocation=asked.capital, params=asked.params,
    )  # fmt: skip
    return services.new_run(bot, int(asked.candles.time[0]))


def _replay(run: Run, candles: Candles) -> None:
    """Every candle is a transaction of its own. A bot that ends itself sees no more."""
    with connection.cursor() as cursor:
        # A crash may cost the last moments of a replay, which nobody would miss.
        cursor.execute("SET synchronous_commit TO off")
    claim = Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING)
    index = 0

    def bars(*_: int) -> Candles:
        return candles[index : index + 1]

    for index in range(len(candles)):  # noqa: B007 (bars() reads it)
        if not runs.advance(claim, bars):
            break
