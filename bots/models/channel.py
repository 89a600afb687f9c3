from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from bots.models.bot import Bot
from bots.models.event import Event


class Channel(models.Model):
    """Where its owner is told of events, which, and how far it has come."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=60)
    sealed = models.TextField(help_text="The address, sealed: orchestrator.crypto. It is shown to nobody again.")
    shown = models.CharField(max_length=200, help_text="What may be shown of the address.")
    minimum = models.CharField(max_length=10, choices=Event.Level, default=Event.Level.INFO)
    topics = ArrayField(models.CharField(max_length=20), help_text="Of bots.notifications.topics.TOPICS.")
    all_bots = models.BooleanField(default=True, help_text="And what concerns no bot.")
    bots = models.ManyToManyField(Bot, related_name="+", help_text="Those alone, unless all.")
    quiet_from = models.TimeField(null=True)
    quiet_to = models.TimeField(null=True)
    zone = models.CharField(max_length=40, default="UTC", help_text="Of the quiet hours, as in the tz database.")
    errors_wake = models.BooleanField(default=True, help_text="Errors are told in the quiet hours too.")
    enabled = models.BooleanField(default=True)

    # Every event up to here was told, or was none of those that are.
    cursor = models.BigIntegerField(default=0)
    held_until = models.DateTimeField(null=True, help_text="End of the quiet hours that it is in.")
    woken = models.BigIntegerField(default=0, help_text="Errors up to here were told during these quiet hours.")
    not_before = models.DateTimeField(default=timezone.now, help_text="Of the next message.")
    failures = models.IntegerField(default=0, help_text="One after another.")
    failing_since = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    last_success_at = models.DateTimeField(null=True)
    test_asked_at = models.DateTimeField(null=True, help_text="Of a test message that is not sent yet.")
    tested_at = models.DateTimeField(null=True, help_text="When the last one was asked for.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="channel_name_once"),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None) | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="channel_quiet_both",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EventHorizon(models.Model):
    """How far the events can be read without missing one that commits late: bots/notifications/horizon.py. One row."""

    settled = models.BigIntegerField(default=0)
    asked = models.BigIntegerField(default=0)
    writers = ArrayField(models.CharField(max_length=40), default=list)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="event_horizon_one_row")]

    def __str__(self) -> str:
        return f"Events up to {self.settled}"
