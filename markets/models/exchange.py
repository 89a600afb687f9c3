from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from markets.models.feed import Feed


# ccxt_id of an exchange that is known from imported files alone.
FILE = "file"


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

    @property
    def has_connection(self) -> bool:
        """Whether there is anybody to ask."""
        return self.ccxt_id != FILE
