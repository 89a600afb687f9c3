from __future__ import annotations

from django.db import models
from django.utils import timezone

from markets.models.fields import TIMEFRAME_CHOICES
from markets.models.market import Market
from markets.series import TIMEFRAME_NAMES


class Candle(models.Model):
    """One closed candle, labelled by its open time. Read and written through markets/candles/ alone."""

    pk = models.CompositePrimaryKey("market_id", "timeframe", "time")
    # The database would look the market up for every candle; history.hold() does once for all.
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+")
    timeframe = models.IntegerField(help_text="Seconds.")
    time = models.BigIntegerField(help_text="Open time, ms UTC.")
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField()

    def __str__(self) -> str:
        return f"{self.market_id} {TIMEFRAME_NAMES.get(self.timeframe, self.timeframe)} {self.time}"


class HistoryBlock(models.Model):
    """Candles of a market and timeframe in one stretch of time, packed. Read and written by markets/history.py alone.

    Its table is not logged: after a crash it is empty, as a cache may be.
    """

    pk = models.CompositePrimaryKey("market_id", "timeframe", "number")
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    timeframe = models.IntegerField(help_text="Seconds.")
    number = models.IntegerField(help_text="Blocks since the epoch.")
    format = models.SmallIntegerField(help_text="Of the data.")
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.market_id} {TIMEFRAME_NAMES.get(self.timeframe, self.timeframe)} block {self.number}"


class CandleGap(models.Model):
    """A stretch for which an exchange has no candles: it was asked twice. Forget it to have it asked again."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    timeframe = models.IntegerField(choices=TIMEFRAME_CHOICES)
    start = models.BigIntegerField(help_text="Open time of the first missing candle, ms UTC.")
    end = models.BigIntegerField(help_text="Open time of the next candle there is, ms UTC.")
    declared_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["market", "timeframe", "start"]
        constraints = [models.UniqueConstraint(fields=["market", "timeframe", "start"], name="candle_gap_once")]

    def __str__(self) -> str:
        return f"{self.market_id} {TIMEFRAME_NAMES.get(self.timeframe, self.timeframe)} {self.start} to {self.end}"
