from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from markets.series import TIMEFRAME_NAMES

DAY_MS = 86_400_000
TIMEFRAME_CHOICES = list(TIMEFRAME_NAMES.items())


def price_field(**options: Any) -> models.DecimalField[Any, Any]:
    """Exact number with room for a satoshi of anything: 20 digits before the point, 18 behind."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


def rate_field(least: str, most: str, **options: Any) -> models.DecimalField[Any, Any]:
    """A fraction of money, between two bounds."""
    bounds = [MinValueValidator(Decimal(least)), MaxValueValidator(Decimal(most))]
    return models.DecimalField(max_digits=9, decimal_places=6, validators=bounds, **options)


class ExchangeQuerySet(models.QuerySet["Exchange"]):
    def with_feeds(self, feeds: models.QuerySet[Feed]) -> ExchangeQuerySet:
        """The exchanges that these feeds are of."""
        return self.filter(pk__in=feeds.values("market__exchange")).order_by("pk")


class Exchange(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    ccxt_id = models.CharField(max_length=50, help_text='ccxt\'s id, for example "binance"; "simulated" is built in.')
    ccxt_config = models.JSONField(default=dict, blank=True, help_text="Merged into ccxt's constructor.")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ExchangeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_simulated(self) -> bool:
        return self.ccxt_id == "simulated"


class Market(models.Model):
    """A pair on an exchange; field names are ccxt's, limits flattened."""

    id = models.AutoField(primary_key=True)  # 4 bytes, so that a candle's key stays small
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="markets")
    symbol = models.CharField(max_length=60)
    base = models.CharField(max_length=20)
    quote = models.CharField(max_length=20)
    type = models.CharField(max_length=10, default="spot", choices=[("spot", "spot"), ("swap", "swap")])
    tick = price_field(help_text="Smallest step of a price.", validators=[MinValueValidator(Decimal("1e-18"))])
    lot = price_field(help_text="Smallest step of an amount.", validators=[MinValueValidator(Decimal("1e-18"))])
    min_amount = price_field(default=0, help_text="Smallest amount of an order, in base.")
    min_cost = price_field(default=0, help_text="Smallest value of an order, in quote.")
    maker = rate_field("-0.01", "0.1", default=Decimal("0.001"), help_text="0.001 is 0.1 %; negative is a rebate.")
    taker = rate_field("0", "0.1", default=Decimal("0.001"), help_text="0.001 is 0.1 %.")
    max_leverage = models.DecimalField(
        max_digits=7,
        decimal_places=2,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal(1)), MaxValueValidator(Decimal(1000))],
        help_text="Of swaps; 1 for spot.",
    )
    maintenance_rate = rate_field(
        "0",
        "0.5",
        default=Decimal(0),
        help_text="Of swaps: margin under which a position is liquidated; 0.005 is 0.5 %.",
    )
    active = models.BooleanField(default=True)
    funding_to = models.BigIntegerField(
        null=True, editable=False, help_text="Of swaps: every funding rate up to this moment is known, ms UTC."
    )
    # The last price seen, so that a page of many markets is one read.
    last = models.FloatField(null=True, editable=False)
    last_at = models.DateTimeField(null=True, editable=False)
    change_24h = models.FloatField(null=True, editable=False, help_text="0.05 is 5 %.")
    quote_volume_24h = models.FloatField(null=True, editable=False)

    class Meta:
        ordering = ["exchange", "symbol"]
        constraints = [models.UniqueConstraint(fields=["exchange", "symbol"], name="market_symbol_once")]

    def __str__(self) -> str:
        return f"{self.symbol} · {self.exchange.slug}"


class Candle(models.Model):
    """One closed candle, labelled by its open time. Read and written through markets/candles.py alone."""

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


class FeedQuerySet(models.QuerySet["Feed"]):
    def alive(self) -> FeedQuerySet:
        """Those that are to be kept up to date."""
        return self.filter(enabled=True, market__active=True, market__exchange__enabled=True)

    def with_synced_from(self) -> FeedQuerySet:
        """`synced_from`: open time of the first candle, ms UTC, the other end of synced_to; one index entry each."""
        of_feed = Candle.objects.filter(market=models.OuterRef("market"), timeframe=models.OuterRef("timeframe"))
        return self.annotate(synced_from=models.Subquery(of_feed.order_by("time").values("time")[:1]))

    def forgetting(self) -> FeedQuerySet:
        """Those whose old candles go."""
        return self.filter(enabled=True, keep_days__gt=0, synced_to__isnull=False)


class Feed(models.Model):
    """The wish to have a market's candles of one timeframe, and how far it is fulfilled."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, related_name="feeds")
    timeframe = models.IntegerField(choices=TIMEFRAME_CHOICES)
    enabled = models.BooleanField(default=True)
    keep_days = models.PositiveIntegerField(default=400, help_text="Candles older than this are deleted; 0 keeps all.")
    synced_to = models.BigIntegerField(null=True, editable=False, help_text="Open time of the last candle, ms UTC.")
    needed_from = models.BigIntegerField(
        null=True, editable=False, help_text="Candles from this open time on, ms UTC, are in use and kept."
    )
    heard_from = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="Candles from this open time on, ms UTC, came by a stream and were not asked for since.",
    )
    repaired_to = models.BigIntegerField(
        null=True, editable=False, help_text="Every hole before this open time, ms UTC, is filled or declared."
    )
    checked_at = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=300, blank=True, editable=False)

    objects = FeedQuerySet.as_manager()

    class Meta:
        ordering = ["market", "timeframe"]
        constraints = [models.UniqueConstraint(fields=["market", "timeframe"], name="feed_once")]

    def __str__(self) -> str:
        return f"{self.market_id} {TIMEFRAME_NAMES.get(self.timeframe, self.timeframe)}"

    def keeps_from(self) -> int:
        """Open time, ms UTC, before which candles are deleted: keep_days before the last one, and none in use."""
        oldest = (self.synced_to or 0) - self.keep_days * DAY_MS
        return oldest if self.needed_from is None else min(oldest, self.needed_from)

    def late(self, now: datetime) -> bool:
        """Whether its last candle is older than it should be, or ahead of the clock, so that none follows for long.

        One that is open or just closing is no delay.
        """
        if self.synced_to is None:
            return False
        return now.timestamp() - self.synced_to / 1000 > 4 * self.timeframe + 60 or self.ahead(now)

    def ahead(self, now: datetime) -> bool:
        """Whether its last candle opens later than now, by more than clocks differ: this one was set back."""
        return self.synced_to is not None and self.synced_to / 1000 - now.timestamp() > 60


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


class FeedNoticeQuerySet(models.QuerySet["FeedNotice"]):
    def lasting(self) -> FeedNoticeQuerySet:
        return self.filter(resolved_at=None)


class FeedNotice(models.Model):
    """Something odd about a feed's candles (markets/quality.py): one row for as long as it keeps being seen."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, related_name="notices", db_index=False)
    timeframe = models.IntegerField(choices=TIMEFRAME_CHOICES)
    code = models.CharField(max_length=20)
    sentence = models.CharField(max_length=200, help_text="Of the last candle that showed it.")
    first_time = models.BigIntegerField(help_text="Open time of the first candle that showed it, ms UTC.")
    last_time = models.BigIntegerField(help_text="Of the last one.")
    times_seen = models.IntegerField(help_text="Candles that showed it.")
    recorded_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True)

    objects = FeedNoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            # inspect and the market page: WHERE market = ? AND resolved_at IS NULL
            models.UniqueConstraint(
                fields=["market", "timeframe", "code"],
                name="feed_notice_once",
                condition=models.Q(resolved_at=None),
            ),
        ]
        indexes = [
            # retention: WHERE resolved_at < ?
            models.Index("resolved_at", name="feed_notice_resolved"),
        ]

    def __str__(self) -> str:
        return self.sentence


class FundingRate(models.Model):
    """A settled rate of a swap. Read and written through markets/funding.py alone."""

    pk = models.CompositePrimaryKey("market_id", "time")
    market = models.ForeignKey(Market, on_delete=models.CASCADE, db_index=False, related_name="+")
    time = models.BigIntegerField(help_text="Funding time, ms UTC.")
    rate = models.FloatField(help_text="0.0001 is 0.01 %.")

    def __str__(self) -> str:
        return f"{self.market_id} {self.time} {self.rate}"


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


# What the simulated exchange knows of its customers, apart from what the bots know: markets/trading.py alone writes it.


class SimulatedBalance(models.Model):
    """Money that an account has on the simulated exchange, or has put aside as margin of one swap (account/label)."""

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="+")
    account = models.CharField(max_length=100)
    currency = models.CharField(max_length=20)
    amount = price_field(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "account", "currency"], name="simulated_balance_once"),
        ]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.currency}"


class SimulatedTransfer(models.Model):
    """Money that was moved between an account and the margin of one of its swaps, or was not, for which reason."""

    exchange = models.ForeignKey(Exchange, on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.CharField(max_length=60)
    client_id = models.CharField(max_length=40)
    source = models.CharField(max_length=100)
    target = models.CharField(max_length=100)
    currency = models.CharField(max_length=20)
    amount = price_field(help_text="0 when nothing was moved.")
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "account", "client_id"], name="simulated_transfer_once"),
        ]

    def __str__(self) -> str:
        return f"{self.client_id}: {self.amount.normalize():f} {self.currency}"


class SimulatedDesk(models.Model):
    """Where on a market's candles the orders of one customer have been led: markets.desk.Place."""

    market = models.ForeignKey(Market, on_delete=models.CASCADE, related_name="+")
    account = models.CharField(max_length=60)
    label = models.CharField(max_length=40, help_text="Orders of an account that are led along together.")
    timeframe = models.IntegerField(help_text="Seconds.")
    time = models.BigIntegerField(help_text="Open time of its candle, ms UTC.")
    phase = models.IntegerField()
    price = models.FloatField(null=True)
    since = models.FloatField(default=0)
    quiet = models.BooleanField(default=True)
    number = models.IntegerField(default=0, help_text="Moments so far.")
    told = models.JSONField(default=dict, help_text="What the last moment was.")
    last_id = models.IntegerField(default=0, help_text="Executions so far.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["market", "account", "label"], name="simulated_desk_once")]

    def __str__(self) -> str:
        return f"{self.label} at {self.time}"


class SimulatedOrder(models.Model):
    desk = models.ForeignKey(SimulatedDesk, on_delete=models.CASCADE, related_name="orders", db_index=False)
    client_id = models.CharField(max_length=40)
    type = models.CharField(max_length=10)
    side = models.CharField(max_length=4)
    price = price_field(null=True)
    amount = price_field()
    cost = price_field(default=0)
    rank = models.IntegerField(default=0)
    taker = models.BooleanField()
    filled = price_field(default=0)
    status = models.CharField(max_length=10, default="open")
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["desk", "client_id"], name="simulated_order_once")]
        indexes = [
            # go_on: WHERE desk = ? AND status = 'open'
            models.Index("desk", name="simulated_order_open", condition=models.Q(status="open")),
        ]

    def __str__(self) -> str:
        return self.client_id


class SimulatedExecution(models.Model):
    desk = models.ForeignKey(SimulatedDesk, on_delete=models.CASCADE, related_name="executions", db_index=False)
    number = models.IntegerField(help_text="1 for the desk's first.")
    client_id = models.CharField(max_length=40)
    time = models.BigIntegerField(help_text="Open time of the candle it happened in, ms UTC.")
    price = price_field()
    amount = price_field()
    fee = price_field()
    left = price_field(help_text="What the order was still for.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["desk", "number"], name="simulated_execution_once")]

    def __str__(self) -> str:
        return f"{self.client_id} {self.amount.normalize():f} at {self.price.normalize():f}"
