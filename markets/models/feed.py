from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from markets.models.candle import Candle
from markets.models.fields import TIMEFRAME_CHOICES
from markets.models.market import Market
from markets.series import TIMEFRAME_NAMES

DAY_MS = 86_400_000


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
