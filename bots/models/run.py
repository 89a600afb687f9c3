from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from bots.models.account import Mode
from bots.models.bot import Bot
from markets.models import Market, price_field


class Run(models.Model):
    """One life of a bot, from start to stop, and the engine's state in it, byte for byte."""

    class Status(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        STOPPED = "stopped"

    bot = models.ForeignKey(Bot, on_delete=models.PROTECT, related_name="runs")
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(help_text="1 for the bot's first run.")
    mode = models.CharField(max_length=10, choices=Mode)
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    reason = models.CharField(max_length=300, blank=True)
    kind = models.CharField(max_length=30)
    timeframe = models.IntegerField(help_text="Seconds.")
    params = models.JSONField(help_text="The bot's parameters as they were at the start.")
    limits = models.JSONField(default=dict, help_text="The bot's limits as they were at the start.")
    allocation = price_field()
    terms = models.JSONField(help_text="What the market demanded and cost at the start: engine.types.Terms.")
    bar_time = models.BigIntegerField(help_text="Open time of the last candle it has seen or skipped, ms UTC.")
    state = models.BinaryField(help_text="Engine state, dtype engine.types.RUN.")
    orders = models.BinaryField(help_text="Wanted orders, dtype engine.types.ORDER.")
    # The book (bots/book.py), exact, and figures of the last candle, so that pages need no engine.
    cash = price_field()
    position = price_field(default=0)
    cost = price_field(default=0, help_text="What the position cost, without fees.")
    equity = price_field()
    realized = price_field(default=0, help_text="Before fees, at average cost.")
    fees = price_field(default=0)
    funding = price_field(default=0, help_text="Paid on swaps, negative when received.")
    trades_count = models.PositiveIntegerField(default=0)
    last_price = models.FloatField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True)
    # Of a claimed run: when its feed got the last candle, as PostgreSQL writes it. No column.
    candle_at: str | None = None

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["bot", "number"], name="run_number_once"),
            models.UniqueConstraint(fields=["bot"], condition=~Q(status="stopped"), name="run_one_alive"),
        ]
        indexes = [
            # advance: WHERE status = 'running' AND (market, timeframe) IN (…)
            models.Index("market", "timeframe", name="run_running_market", condition=Q(status="running")),
        ]

    def __str__(self) -> str:
        return f"run {self.number} of bot {self.bot_id}"
