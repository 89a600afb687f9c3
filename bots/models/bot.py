from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from bots.models.account import Account
from markets.models import TIMEFRAME_CHOICES, Market, price_field


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
    limits = models.JSONField(default=dict, blank=True, help_text="What it may do at most: bots.limits.Limits.")
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
