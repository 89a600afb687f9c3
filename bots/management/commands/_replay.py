"""What paper_replay and live_replay share: a run that no person sees, and that leaves nothing behind."""

from __future__ import annotations

import time
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from bots import services
from bots.brokers import exchange_account
from bots.management.commands._series import Asked
from bots.models import Account, Bot, FundingPayment, Mode, Run, Trade
from markets.simulated_money import close_account

OWNER = "replay"


@transaction.atomic
def new_run(asked: Asked) -> Run:
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
def forget(bot: Bot) -> None:
    """Leave nothing behind: the trades of a replay are play, the only ones that are ever deleted."""
    close_account(bot.account.exchange, exchange_account(bot.account_id))
    Trade.objects.filter(bot=bot, mode=Mode.REPLAY).delete()
    FundingPayment.objects.filter(bot=bot, run__mode=Mode.REPLAY).delete()
    bot.runs.all().delete()
    bot.delete()
    bot.account.delete()
    bot.owner.delete()


def forget_killed() -> None:
    """What replays that were killed left behind."""
    day_ago = timezone.now() - timedelta(days=1)
    left = Bot.objects.filter(account__mode=Mode.REPLAY, created_at__lt=day_ago)
    for bot in left.select_related("account__exchange", "owner"):
        forget(bot)


def hurry() -> None:
    """A crash may cost the last moments of a replay, which nobody would miss."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")
