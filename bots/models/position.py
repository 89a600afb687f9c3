from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from bots.models.bot import Bot
from bots.models.run import Run
from markets.models import Market, price_field


class Position(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="positions", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="positions", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    side = models.CharField(max_length=5, choices=[("long", "long"), ("short", "short")], default="long")
    amount = price_field(help_text="Base units, never negative.")
    average_price = price_field()
    realized = price_field(default=0)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["run"], condition=Q(status="open"), name="position_one_open"),
        ]
        indexes = [
            # the bot page: WHERE bot = ? AND status = 'open'
            models.Index("bot", "status", name="position_bot_status"),
            # the overview: WHERE owner = ? AND status = 'open'
            models.Index("owner", "status", name="position_owner_status"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount.normalize():f}"


class EquitySnapshot(models.Model):
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="equity", db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="equity_rows", db_index=False)
    time = models.DateTimeField()
    equity = models.FloatField()
    cash = models.FloatField()
    position = models.FloatField()
    price = models.FloatField()

    class Meta:
        ordering = ["time"]
        constraints = [models.UniqueConstraint(fields=["run", "time"], name="equity_once")]
        indexes = [
            # the equity curve: WHERE bot = ? ORDER BY time DESC
            models.Index("bot", models.F("time").desc(), name="equity_bot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.time:%Y-%m-%d %H:%M} {self.equity}"
