from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from markets.models import Exchange, price_field


class Mode(models.TextChoices):
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"  # stored candles through the database, of no account that a person sees


class Account(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="accounts")
    name = models.CharField(max_length=60)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.PAPER)
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="accounts")
    max_exposure = price_field(
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="Quote money: most that the positions of all its bots may be worth together, in each quote currency "
        "by itself. Empty is no limit. What runs already goes on when it is lowered.",
    )
    halted_at = models.DateTimeField(null=True, editable=False, help_text="While set, nothing starts or resumes.")
    halted_reason = models.CharField(max_length=200, blank=True, editable=False)
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
    payments = models.IntegerField(default=0, help_text="Deposits and withdrawals by people so far.")

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint(fields=["account", "currency"], name="balance_once"),
            models.CheckConstraint(condition=Q(free__gte=0), name="balance_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.free.normalize():f} {self.currency}"
