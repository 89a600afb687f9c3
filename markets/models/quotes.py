from __future__ import annotations

from django.db import models

from markets.models.market import Market


class Quotes(models.Model):
    """What an exchange last said of a market's order book and, of a swap, of its funding; services/quotes.py writes it.

    What it said stays when it does not answer any more, with the moment it was said and the sentence of the failure.
    """

    market = models.OneToOneField(Market, on_delete=models.CASCADE, primary_key=True, related_name="quotes")
    bids = models.JSONField(default=list, help_text="Best first: [[price in quote, amount in base], …].")
    asks = models.JSONField(default=list)
    book_at = models.DateTimeField(null=True, help_text="When the exchange gave the order book.")
    book_asked_at = models.DateTimeField(null=True, help_text="When it was asked last.")
    book_error = models.CharField(max_length=300, blank=True)
    bid = models.FloatField(null=True, help_text="The best one, as a ticker or the order book told it last.")
    ask = models.FloatField(null=True)
    spread_at = models.DateTimeField(null=True, help_text="When both were told.")
    spread_asked_at = models.DateTimeField(null=True)
    mark_price = models.FloatField(null=True)
    index_price = models.FloatField(null=True)
    funding_rate = models.FloatField(null=True, help_text="As it stands for the next funding; 0.0001 is 0.01 %.")
    funding_due = models.BigIntegerField(null=True, help_text="Time of the next funding, ms UTC.")
    funding_at = models.DateTimeField(null=True)
    funding_asked_at = models.DateTimeField(null=True)
    funding_error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "quotes"

    def __str__(self) -> str:
        return f"{self.market_id} at {self.book_at or self.funding_at}"
