from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """The right to use the API in its owner's name. The token itself is not kept, only its digest."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        TRADE = "trade", "Read and trade"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    scope = models.CharField(max_length=5, choices=Scope, default=Scope.READ)
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token, in hex.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(null=True, editable=False, help_text="Last use, to the minute.")
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="api_token_name_once")]

    def __str__(self) -> str:
        return self.name

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Watched(models.Model):
    """A market on somebody's watchlist."""

    # The key serves the markets page: WHERE owner = ? AND market = ?
    pk = models.CompositePrimaryKey("owner_id", "market_id")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    market = models.ForeignKey("markets.Market", on_delete=models.CASCADE, related_name="+")
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.owner_id} watches {self.market_id}"
