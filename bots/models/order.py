from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from bots.models.bot import Bot
from bots.models.run import Run
from markets.models import Market, price_field


class Side(models.TextChoices):
    BUY = "buy"
    SELL = "sell"


class Order(models.Model):
    class Status(models.TextChoices):
        WAITING = "waiting"  # lives with us until its price is touched: a live trailing stop
        PENDING = "pending"  # is to be sent, or was sent and not answered
        OPEN = "open"
        CANCELING = "canceling"  # the exchange is to withdraw it
        CLOSED = "closed"
        CANCELED = "canceled"
        REJECTED = "rejected"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="order_rows")
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="orders", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.CharField(max_length=40, help_text="Deterministic: run, slot, sequence.")
    slot = models.IntegerField(help_text="Place among the run's wanted orders.")
    type = models.CharField(max_length=12)
    side = models.CharField(max_length=4, choices=Side)
    price = price_field(null=True, help_text="Limit or trigger price; null for market orders.")
    amount = price_field()
    filled = price_field(default=0)
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    tag = models.CharField(max_length=30, blank=True, help_text="What the order is for.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["run", "client_id"], name="order_client_id_once")]
        indexes = [
            # crossing orders of a market: WHERE market = ? AND side = ? AND price >= ? AND status = 'open'
            models.Index("market", "side", "price", name="order_open_price", condition=Q(status="open")),
            # what an exchange is still to be told: WHERE run = ? AND status IN ('pending', 'canceling')
            models.Index("run", name="order_unsettled", condition=Q(status__in=["pending", "canceling"])),
            # the bot page: WHERE bot = ? AND status = 'open'
            models.Index("bot", "price", name="order_open_bot", condition=Q(status="open")),
            # the orders page: WHERE owner = ? AND status = ? ORDER BY created_at DESC, id DESC
            models.Index(
                "owner", "status", models.F("created_at").desc(), models.F("id").desc(), name="order_owner_status"
            ),
            # the orders page of a few bots: WHERE bot = ? AND status = ? ORDER BY created_at DESC, id DESC
            models.Index(
                "bot", "status", models.F("created_at").desc(), models.F("id").desc(), name="order_bot_status"
            ),
        ]

    def __str__(self) -> str:
        return self.client_id
