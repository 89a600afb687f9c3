"""Clicks from several browsers while the worker steps: money is neither made nor lost."""

from __future__ import annotations

import random
import threading
from decimal import Decimal

import pytest
from django.db import connections

from bots import runs, services
from bots.models import Balance, Bot, Run, Trade
from tests.bots.conftest import GRID, START
from tests.bots.test_runs import wandering


@pytest.mark.django_db(transaction=True)
def test_whatever_is_clicked_at_once_the_money_adds_up(owner, account, market, close):
    rows = [
        Bot(owner=owner, account=account, market=market, name=f"Grid {n}", kind="grid", timeframe=60,
            allocation=Decimal(4000), params=GRID)
        for n in range(4)
    ]  # fmt: skip
    bots = Bot.objects.bulk_create(rows)
    candles, faults = wandering(), []
    acts = [
        lambda bot: services.start(bot, START),
        services.pause,
        services.resume,
        lambda bot: services.stop(bot, close_position=True),
        lambda bot: services.stop(bot, close_position=False),
    ]

    def click(seed):
        choose = random.Random(seed)
        try:
            for _ in range(25):
                try:
                    choose.choice(acts)(Bot.objects.get(pk=choose.choice(bots).pk))
                except services.Refused:
                    continue
        except Exception as fault:  # a thread's exception would be lost
            faults.append(fault)
        finally:
            connections.close_all()

    def work():
        try:
            for index in range(0, 400, 20):
                close(candles[index : index + 20])
                runs.advance_due()
        except Exception as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click, args=[seed]) for seed in range(4)] + [threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert_money_adds_up(account)


def assert_money_adds_up(account):
    """What the account and the runs that are alive hold is what the trades leave of the deposit."""
    free = {balance.currency: balance.free for balance in Balance.objects.filter(account=account)}
    alive = Run.objects.exclude(status="stopped")
    trades = [(1 if trade.side == "buy" else -1, trade) for trade in Trade.objects.all()]
    spent = sum(side * trade.price * trade.amount + trade.fee for side, trade in trades)
    assert free["USDT"] + sum(run.cash for run in alive) == 10_000 - spent
    bought = sum(side * trade.amount for side, trade in trades)
    assert free.get("SOL", 0) + sum(run.position for run in alive) == bought
    living = Bot.objects.filter(status__in=services.ALIVE).values_list("pk", flat=True)
    assert sorted(living) == sorted(alive.values_list("bot", flat=True))
