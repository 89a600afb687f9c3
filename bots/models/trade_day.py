from __future__ import annotations

from django.conf import settings
from django.db import models

from bots.models.account import Mode


class TradeDay(models.Model):
    """What all trades of one owner, mode and quote currency came to on one day; all money in that currency.

    A cache of Trade rows that bots/trade_days.py alone writes; it can be thrown away and is made again.
    """

    pk = models.CompositePrimaryKey("owner_id", "mode", "currency", "day")
    # The key serves the performance page: WHERE owner = ? AND mode = ? AND currency = ? ORDER BY day
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    mode = models.CharField(max_length=10, choices=Mode)
    currency = models.CharField(max_length=20)
    day = models.DateField(help_text="UTC.")
    trades = models.IntegerField()
    cost = models.FloatField(help_text="Price times amount, bought and sold.")
    fees = models.FloatField()
    orders = models.IntegerField(help_text="That closed a position or a part of one.")
    won = models.IntegerField(help_text="Of those, with a gain after the fees of both sides.")
    gains = models.FloatField(help_text="Of those that won, together.")
    losses = models.FloatField(help_text="Of those that lost, never negative.")
    last_id = models.BigIntegerField(help_text="The newest Trade there was when it was made.")

    def __str__(self) -> str:
        return f"{self.mode} {self.currency} {self.day:%Y-%m-%d}: {self.trades}"
