from __future__ import annotations

from django.db import models

from bots.models.bot import Bot
from bots.models.run import Run
from markets.models import price_field


class FundingPayment(models.Model):
    """Funding that the position of a run on a swap paid or received. Never changed, like a trade."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="funding_payments", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="funding_payments", db_index=False)
    time = models.DateTimeField()
    rate = models.FloatField(help_text="A fraction of the position's value; longs pay a positive one.")
    price = price_field()
    position = price_field(help_text="Base units, negative when short.")
    paid = price_field(help_text="Quote; negative when received.")

    class Meta:
        ordering = ["-time"]
        constraints = [models.UniqueConstraint(fields=["run", "time"], name="funding_once")]
        indexes = [
            # the bot page: WHERE bot = ? ORDER BY time DESC
            models.Index("bot", models.F("time").desc(), name="funding_bot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.paid.normalize():f} at {self.time:%Y-%m-%d %H:%M}"
