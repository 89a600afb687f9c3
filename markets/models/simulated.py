"""What the simulated exchange knows of its customers, apart from what the bots know; written by markets/trading.py."""

from __future__ import annotations

from django.db import models

from markets.models.exchange import Exchange
from markets.models.fields import price_field
from markets.models.market import Market


class SimulatedBalance(models.Model):
    """Money that an account has on the simulated exchange, or has put aside as margin of one swap (account/label)."""

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="+")
    account = models.CharField(max_length=100)
    currency = models.CharField(max_length=20)
    amount = price_field(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "account", "currency"], name="simulated_balance_once"),
        ]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency}"


class SimulatedTransfer(models.Model):
    """Money that was moved between an account and the margin of one of its swaps, or was not, for which reason."""

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.CharField(max_length=60)
    client_id = models.CharField(max_length=40)
    source = models.CharField(max_length=100)
    target = models.CharField(max_length=100)
    currency = models.CharField(max_length=20)
    amount = price_field(help_text="0 when nothing was moved.")
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "account", "client_id"], name="simulated_transfer_once"),
        ]

    def __str__(self) -> str:
        return f"{self.client_id}: {self.amount.normalize():f} {self.currency}"


class SimulatedDesk(models.Model):
    """Where on a market's candles the orders of one customer have been led: markets.desk.Place."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, related_name="+")
    account = models.CharField(max_length=60)
    label = models.CharField(max_length=40, help_text="Orders of an account that are led along together.")
    timeframe = models.IntegerField(help_text="Seconds.")
    time = models.BigIntegerField(help_text="Open time of its candle, ms UTC.")
    phase = models.IntegerField()
    price = models.FloatField(null=True)
    since = models.FloatField(default=0)
    quiet = models.BooleanField(default=True)
    number = models.IntegerField(default=0, help_text="Moments so far.")
    told = models.JSONField(default=dict, help_text="What the last moment was.")
    last_id = models.IntegerField(default=0, help_text="Executions so far.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market", "account", "label"], name="simulated_desk_once")]

    def __str__(self) -> str:
        return f"{self.label} at {self.time}"


class SimulatedOrder(models.Model):
    desk = models.ForeignKey(SimulatedDesk, on_delete=models.CASCADE, related_name="orders", db_index=False)
    client_id = models.CharField(max_length=40)
    type = models.CharField(max_length=10)
    side = models.CharField(max_length=4)
    price = price_field(null=True)
    amount = price_field()
    cost = price_field(default=0)
    rank = models.IntegerField(default=0)
    taker = models.BooleanField()
    filled = price_field(default=0)
    status = models.CharField(max_length=10, default="open")
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["desk", "client_id"], name="simulated_order_once")]
        indexes = [
            # go_on: WHERE desk = ? AND status = 'open'
            models.Index("desk", name="simulated_order_open", condition=models.Q(status="open")),
        ]

    def __str__(self) -> str:
        return self.client_id


class SimulatedExecution(models.Model):
    desk = models.ForeignKey(SimulatedDesk, on_delete=models.CASCADE, related_name="executions", db_index=False)
    number = models.IntegerField(help_text="1 for the desk's first.")
    client_id = models.CharField(max_length=40)
    time = models.BigIntegerField(help_text="Open time of the candle it happened in, ms UTC.")
    price = price_field()
    amount = price_field()
    fee = price_field()
    left = price_field(help_text="What the order was still for.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["desk", "number"], name="simulated_execution_once")]

    def __str__(self) -> str:
        return f"{self.client_id} {self.amount.normalize():f} at {self.price.normalize():f}"
