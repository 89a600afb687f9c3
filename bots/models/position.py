from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from bots.models.account import Mode
from bots.models.bot import Bot
from bots.models.run import Run
from markets.models import Market, price_field


class Position(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        KEPT = "kept"  # of a run that is over: no bot looks after it, and it counts until it is dismissed
        DISMISSED = "dismissed"
        CLOSED = "closed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="positions", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="positions", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    side = models.CharField(max_length=5, choices=[("long", "long"), ("short", "short")], default="long")
    amount = price_field(help_text="Base units, never negative.")
    average_price = price_field()
    realized = price_field(default=0, help_text="Before fees, at average cost.")
    fees = price_field(default=0)
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
            # the overview and the positions page: WHERE owner = ? AND status = ? ORDER BY opened_at DESC, id DESC
            models.Index(
                "owner", "status", models.F("opened_at").desc(), models.F("id").desc(), name="position_owner_opened"
            ),
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


class BookSnapshot(models.Model):
    """What all runs of one owner, mode and quote currency were worth together: sums of EquitySnapshots.

    A cache of those rows that bots/equity.py alone writes; it can be thrown away and is made again.
    """

    pk = models.CompositePrimaryKey("owner_id", "mode", "currency", "time")
    # The key serves the overview: WHERE owner = ? AND mode = ? AND currency = ? AND time >= ? ORDER BY time
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    mode = models.CharField(max_length=10, choices=Mode)
    currency = models.CharField(max_length=20)
    time = models.DateTimeField(help_text="A mark of five minutes.")
    equity = models.FloatField(help_text="Of the runs alive then.")
    pnl = models.FloatField(help_text="Equity less allocation, of all runs until then.")
    last_id = models.BigIntegerField(help_text="The newest EquitySnapshot there was when it was made.")

    class Meta:
        indexes = [
            # how far the sums are made: max(last_id)
            models.Index("last_id", name="book_snapshot_last"),
        ]

    def __str__(self) -> str:
        return f"{self.mode} {self.currency} {self.time:%Y-%m-%d %H:%M} {self.equity}"
