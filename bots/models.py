"""What is decided and what happened. Rows are written in bots/services.py and bots/runs.py, nowhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from markets.models import TIMEFRAME_CHOICES, Exchange, Market, price_field


class Mode(models.TextChoices):
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"  # stored candles through the database, of no account that a person sees


class Side(models.TextChoices):
    BUY = "buy"
    SELL = "sell"


class Account(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="accounts")
    name = models.CharField(max_length=60)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.PAPER)
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="accounts")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="account_name_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.mode})"


class Balance(models.Model):
    """Money of one account in one currency; total = free + what the bots were allotted, as it stands now."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="balances")
    currency = models.CharField(max_length=20)
    free = price_field(default=0, validators=[MinValueValidator(Decimal(0))])

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint(fields=["account", "currency"], name="balance_once"),
            models.CheckConstraint(condition=Q(free__gte=0), name="balance_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.free.normalize():f} {self.currency}"


class BotQuerySet(models.QuerySet["Bot"]):
    def owned_by(self, user: Any) -> BotQuerySet:
        return self.filter(owner=user)

    def with_market(self) -> BotQuerySet:
        return self.select_related("market__exchange", "account")


class Bot(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        STOPPED = "stopped"
        FAILED = "failed"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bots")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="bots")
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="bots")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=30)
    timeframe = models.IntegerField(choices=TIMEFRAME_CHOICES, default=60)
    allocation = price_field(help_text="Quote money the bot may use.", validators=[MinValueValidator(Decimal("1e-8"))])
    params = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    reason = models.CharField(max_length=300, blank=True, editable=False, help_text="Why it is in this status.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = BotQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="bot_name_once"),
            models.CheckConstraint(condition=Q(allocation__gt=0), name="bot_allocation_positive"),
        ]
        indexes = [
            # the bots page: WHERE owner = ? [AND status = ?] ORDER BY created_at DESC
            models.Index("owner", "status", models.F("created_at").desc(), name="bot_owner_status_created"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("bot", args=[self.pk])


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
    realized = price_field(default=0)
    fees = price_field(default=0)
    trades_count = models.PositiveIntegerField(default=0)
    last_price = models.FloatField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True)

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


class Order(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"
        CANCELED = "canceled"
        REJECTED = "rejected"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="order_rows")
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="orders", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.CharField(max_length=40, help_text="Deterministic: run, slot, sequence.")
    slot = models.IntegerField(help_text="Place among the run's wanted orders.")
    type = models.CharField(max_length=10)
    side = models.CharField(max_length=4, choices=Side)
    price = price_field(null=True, help_text="Limit or trigger price; null for market orders.")
    amount = price_field()
    filled = price_field(default=0)
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    tag = models.CharField(max_length=30, blank=True, help_text="What the order is for.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["run", "client_id"], name="order_client_id_once")]
        indexes = [
            # crossing orders of a market: WHERE market = ? AND side = ? AND price >= ? AND status = 'open'
            models.Index("market", "side", "price", name="order_open_price", condition=Q(status="open")),
            # the bot page: WHERE bot = ? AND status = 'open'
            models.Index("bot", "price", name="order_open_bot", condition=Q(status="open")),
        ]

    def __str__(self) -> str:
        return self.client_id


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


class Position(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="positions", db_index=False)
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="positions", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    side = models.CharField(max_length=5, choices=[("long", "long"), ("short", "short")], default="long")
    amount = price_field(help_text="Base units, never negative.")
    average_price = price_field()
    realized = price_field(default=0)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["run"], condition=Q(status="open"), name="position_one_open"),
        ]
        indexes = [
            # the bot page: WHERE bot = ? AND status = 'open'
            models.Index("bot", "status", name="position_bot_status"),
            # the overview: WHERE owner = ? AND status = 'open'
            models.Index("owner", "status", name="position_owner_status"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount.normalize():f}"


class EquitySnapshot(models.Model):
    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="equity", db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="equity_rows", db_index=False)
    time = models.DateTimeField()
    equity = models.FloatField()
    cash = models.FloatField()
    position = models.FloatField()
    price = models.FloatField()

    class Meta:
        ordering = ["time"]
        constraints = [models.UniqueConstraint(fields=["run", "time"], name="equity_once")]
        indexes = [
            # the equity curve: WHERE bot = ? ORDER BY time DESC
            models.Index("bot", models.F("time").desc(), name="equity_bot_time"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.time:%Y-%m-%d %H:%M} {self.equity}"


class Event(models.Model):
    """History, audit log and outbox in one: a state change and its event are committed together."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    bot = models.ForeignKey(Bot, null=True, on_delete=models.CASCADE, related_name="events", db_index=False)
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="events", db_index=False)
    time = models.DateTimeField(default=timezone.now, help_text="Of what happened; market time for decisions.")
    recorded_at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=500)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the activity page: WHERE owner = ? ORDER BY id DESC; the event stream: WHERE owner = ? AND id > ?
            models.Index("owner", models.F("id").desc(), name="event_owner_id"),
            # the bot page: WHERE bot = ? ORDER BY id DESC
            models.Index("bot", models.F("id").desc(), name="event_bot_id"),
            # retention: WHERE recorded_at < ?
            models.Index("recorded_at", name="event_recorded"),
        ]

    def __str__(self) -> str:
        return self.message
