from __future__ import annotations

from django.db import models
from django.db.models import Q

from markets.models import Market


class Prediction(models.Model):
    """What a model made of one closed candle. Read and written through bots/predictions.py alone."""

    pk = models.CompositePrimaryKey("market_id", "timeframe", "model", "time")
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    timeframe = models.IntegerField(help_text="Seconds.")
    model = models.CharField(max_length=30, help_text="Slug in FORECASTERS.")
    time = models.BigIntegerField(help_text="Open time of the candle, ms UTC.")
    value = models.FloatField(help_text="Probability that the closes to come are higher, 0 to 1.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(value__gte=0, value__lte=1), name="prediction_probability")]

    def __str__(self) -> str:
        return f"{self.market_id} {self.timeframe} {self.model} {self.time} {self.value}"
