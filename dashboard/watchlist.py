"""The markets that somebody keeps an eye on."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from dashboard.models import Watched
from dashboard.scope import Owner
from markets.models import Market


def with_watched(markets: QuerySet[Market], owner: Owner) -> QuerySet[Any]:
    """Markets with watched: whether the owner watches them."""
    return markets.annotate(watched=Exists(Watched.objects.filter(owner=owner, market=OuterRef("pk"))))


def watch(owner: Owner, market: Market, wanted: bool) -> None:
    """Put a market on the owner's list, or take it off; a second time changes nothing."""
    if wanted:
        Watched.objects.bulk_create([Watched(owner=owner, market=market)], ignore_conflicts=True)
    else:
        Watched.objects.filter(owner=owner, market=market).delete()
