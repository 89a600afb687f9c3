from __future__ import annotations

from django.db import models
from django.utils import timezone

from markets.models.fields import TIMEFRAME_CHOICES
from markets.models.market import Market


class IndicatorSnapshot(models.Model):
    """Latest value of one indicator on one market and timeframe."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, related_name="indicators")
    timeframe = models.IntegerField(choices=TIMEFRAME_CHOICES)
    name = models.CharField(max_length=30, help_text="Name in INDICATORS, with its default parameters.")
    time = models.BigIntegerField(help_text="Open time of the candle it was computed at, ms UTC.")
    values = models.JSONField(help_text="Output name -> value; null while warming up.")
    computed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market", "timeframe", "name"], name="indicator_once")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.timeframe} {self.name}"
