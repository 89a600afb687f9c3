from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone


class Finding(models.Model):
    """Something slow or wasteful that a request or a task did."""

    class Kind(models.TextChoices):
        SLOW_REQUEST = "slow_request"
        SLOW_TASK = "slow_task"
        SLOW_QUERY = "slow_query"
        REPEATED_QUERY = "repeated_query"

    time = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=20, choices=Kind)
    place = models.CharField(max_length=100, help_text="Name of the view or task.")
    path = models.CharField(max_length=300, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    bot_id = models.BigIntegerField(null=True)
    milliseconds = models.FloatField(help_text="Of the request, the task or the slow query.")
    count = models.IntegerField(help_text="Queries of the whole; of a repeated query, how often it came.")
    seen = models.IntegerField(default=1, help_text="How often since the row before.")
    statement = models.TextField(blank=True, help_text="The query's shape: SQL without any value.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the system page: WHERE kind = ? ORDER BY id DESC
            models.Index("kind", models.F("id").desc(), name="finding_kind_id"),
            # retention: WHERE time < ?
            models.Index("time", name="finding_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.place}, {self.milliseconds:.0f} ms"

    @classmethod
    def of(cls, kind: str, seconds: float, count: int, statement: str = "") -> Finding:
        return cls(kind=kind, milliseconds=1000.0 * seconds, count=count, statement=statement)


class Sample(models.Model):
    """The counts of one metric of all processes of a machine, since these were started.

    How long things took between two moments comes from the difference of two rows: orchestrator.observability.samples.
    """

    class Metric(models.TextChoices):
        REQUEST = "request"
        QUERY = "query"
        TASK = "task"
        WAIT = "wait"
        CYCLE = "cycle"
        SIGNAL = "signal"
        ORDER = "order"

    time = models.DateTimeField(default=timezone.now)
    host = models.CharField(max_length=100)
    metric = models.CharField(max_length=10, choices=Metric)
    name = models.CharField(max_length=100, blank=True, help_text="Of the view, the operation, the task.")
    buckets = ArrayField(models.BigIntegerField(), help_text="Counts up to each of metrics.SECONDS, then all.")

    class Meta:
        ordering = ["-time"]
        indexes = [
            # the system page: WHERE time > ? ; retention: WHERE time < ?
            models.Index("time", name="sample_time"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.name}: {self.buckets[-1]}"


class BrokenBudget(models.Model):
    """A budget that is broken now, since when, and when staff were told; the row goes when the budget holds again."""

    subject = models.CharField(max_length=200, unique=True, help_text="Of dashboard.system.audit.")
    since = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["since"]

    def __str__(self) -> str:
        return f"{self.subject}, since {self.since:%Y-%m-%d %H:%M}"
