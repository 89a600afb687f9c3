"""Moves money between an account and its bots: conditional updates, so that two at once never spend it twice."""

from __future__ import annotations

from decimal import Decimal

from django.db.models import F

from bots.models import Account, Balance


def reserve(account: Account, currency: str, amount: Decimal) -> bool:
    """Take money out of an account for a bot; False when less is free."""
    rows = Balance.objects.filter(account=account, currency=currency, free__gte=amount)
    return rows.update(free=F("free") - amount) == 1


def release(account: Account, currency: str, amount: Decimal) -> None:
    """Give money back to an account."""
    if amount:
        Balance.objects.get_or_create(account=account, currency=currency)
        Balance.objects.filter(account=account, currency=currency).update(free=F("free") + amount)
