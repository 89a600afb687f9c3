from __future__ import annotations

from django.db import models
from django.utils import timezone

from markets.models import Market


class LateFeed(models.Model):
    """A feed that brings running bots no candles, for as long as it does not: bots/feed_watch.py."""

    pk = models.CompositePrimaryKey("market_id", "timeframe")
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    timeframe = models.IntegerField()
    seen_at = models.DateTimeField(default=timezone.now)
    told = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.market_id} {self.timeframe}"
