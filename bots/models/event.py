from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from bots.models.bot import Bot
from bots.models.run import Run


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
            # the overview's warnings: WHERE owner = ? AND level IN ('warning', 'error') ORDER BY id DESC;
            # it counts them by bot and code from here alone
            models.Index(
                "owner",
                models.F("id").desc(),
                name="event_owner_attention",
                condition=models.Q(level__in=["warning", "error"]),
                include=["bot", "code", "recorded_at"],
            ),
            # the activity page: WHERE owner = ? AND code = ? ORDER BY id DESC
            models.Index("owner", "code", models.F("id").desc(), name="event_owner_code"),
            # retention: WHERE recorded_at < ?
            models.Index("recorded_at", name="event_recorded"),
        ]

    def __str__(self) -> str:
        return self.message
