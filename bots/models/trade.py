from __future__ import annotations

from django.conf import settings
from django.db import models

from bots.models.account import Mode
from bots.models.bot import Bot
from bots.models.order import Side
from bots.models.run import Run
from markets.models import Market, price_field


class Trade(models.Model):
    """One execution. Never changed, never deleted: everything else derives from these rows."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="trades", db_index=False)
    number = models.PositiveIntegerField(help_text="1 for the run's first trade.")
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="trades", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_index=False)
    mode = models.CharField(max_length=10, choices=Mode)
    client_id = models.CharField(max_length=40, help_text="The order's.")
    time = models.DateTimeField()
    side = models.CharField(max_length=4, choices=Side)
    price = price_field()
    amount = price_field()
    fee = price_field()
    fee_currency = models.CharField(max_length=20)
    realized = price_field(default=0, help_text="Profit it locked in, before its fee, at average cost.")
    tag = models.CharField(max_length=30, blank=True)

    class Meta:
        ordering = ["-time", "-id"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="trade_number_once")]
        indexes = [
            # the bot page: WHERE bot = ? ORDER BY time DESC
            models.Index("bot", models.F("time").desc(), models.F("id").desc(), name="trade_bot_time"),
            # the owner's trades: WHERE owner = ? AND mode = ? ORDER BY time DESC
            models.Index("owner", "mode", models.F("time").desc(), models.F("id").desc(), name="trade_owner_mode_time"),
            # the market page: WHERE market = ? ORDER BY time DESC
            models.Index("market", models.F("time").desc(), name="trade_market_time"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount.normalize():f} at {self.price.normalize():f}"
