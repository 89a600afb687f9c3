from __future__ import annotations

from django.db import models

from markets.models.market import Market


class FundingRate(models.Model):
    """A settled rate of a swap. Read and written through markets/funding.py alone."""

    pk = models.CompositePrimaryKey("market_id", "time")
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    time = models.BigIntegerField(help_text="Funding time, ms UTC.")
    rate = models.FloatField(help_text="0.0001 is 0.01 %.")

    def __str__(self) -> str:
        return f"{self.market_id} {self.time} {self.rate}"
