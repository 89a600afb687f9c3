from __future__ import annotations

from django.db import models
from django.utils import timezone

from bots.models.bot import Bot


class BotChange(models.Model):
    """What a person set otherwise. Never changed: the history of a bot's settings."""

    bot = models.ForeignKey(Bot, on_delete=models.CASCADE, related_name="changes", db_index=False)
    time = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150, blank=True, help_text="User name.")
    note = models.CharField(max_length=200, blank=True, help_text="Since when it holds.")
    changes = models.JSONField(default=dict, help_text="Setting -> [before, after]; null where it was not set.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the bot page: WHERE bot = ? ORDER BY id DESC
            models.Index("bot", models.F("id").desc(), name="bot_change_latest"),
        ]

    def __str__(self) -> str:
        return f"{', '.join(self.changes) or self.note} by {self.by or 'nobody'}"
