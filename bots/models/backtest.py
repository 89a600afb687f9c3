from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from markets.models import Market, price_field


class BacktestQuerySet(models.QuerySet["Backtest"]):
    def owned_by(self, user: Any) -> BacktestQuerySet:
        return self.filter(owner=user)

    def listed(self) -> BacktestQuerySet:
        """Without the packed columns, which no list shows."""
        return self.select_related("market__exchange").defer("curve", "trades", "results")


class Backtest(models.Model):
    """A question to the engine over stored candles, and its answer: of one set of parameters, or of a grid of them."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELED = "cancelled"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=30)
    timeframe = models.IntegerField(help_text="Seconds.")
    params = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)
    grid = models.JSONField(default=dict, help_text="Parameter -> values to choose from; empty for a single run.")
    allocation = price_field()
    terms = models.JSONField(help_text="What the market demanded and cost: engine.types.Terms.")
    begin = models.BigIntegerField(help_text="Open time of the first candle, ms UTC.")
    end = models.BigIntegerField(help_text="Open time of the last candle, ms UTC.")
    bars = models.IntegerField()
    digest = models.CharField(max_length=64, help_text="Of everything the answer depends on, the candles included.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    progress = models.FloatField(default=0.0, help_text="1 is done.")
    reason = models.CharField(max_length=300, blank=True)
    metrics = models.JSONField(default=dict, help_text="Of a single run: performance.Metrics.")
    bounds = models.JSONField(default=dict, help_text="Of a single run: final equity, worst and best.")
    curve = models.BinaryField(null=True, help_text="Packed columns: bots.backtests.unpacked().")
    trades = models.BinaryField(null=True, help_text="TRADE records, compressed.")
    results = models.JSONField(default=list, help_text="Of a grid: [values, trades, final equity, drawdown] each.")
    created_at = models.DateTimeField(default=timezone.now)
    touched_at = models.DateTimeField(default=timezone.now, help_text="Last sign of life of who works on it.")
    claimed_by = models.UUIDField(null=True, help_text="Who works on it: bots.backtest_claims.")
    tries = models.IntegerField(default=0, help_text="Times that it was claimed.")
    finished_at = models.DateTimeField(null=True)

    objects = BacktestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the list: WHERE owner = ? ORDER BY id DESC
            models.Index("owner", models.F("id").desc(), name="backtest_owner_latest"),
            # the same question again: WHERE owner = ? AND digest = ?
            models.Index("owner", "digest", name="backtest_owner_digest"),
            # what is to be done: WHERE state IN ('queued', 'running')
            models.Index("state", name="backtest_open", condition=models.Q(state__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        return f"backtest {self.pk} of {self.kind}"

    def get_absolute_url(self) -> str:
        return reverse("backtest", args=[self.pk])
