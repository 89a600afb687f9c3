"""Accounts and the money in them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F

from bots import balances, live_money
from bots.guards import Refused
from bots.models import Account, Balance, Event, Mode
from bots.services.words import by_whom
from markets.models import Exchange
from orchestrator import notify


def open_paper_account(owner: Any, name: str, exchange: Exchange, money: dict[str, Decimal]) -> Account:
    """A paper account with play money: currency -> amount."""
    with transaction.atomic():
        account = Account.objects.create(owner=owner, name=name, mode=Mode.PAPER, exchange=exchange)
        Balance.objects.bulk_create(Balance(account=account, currency=c, free=amount) for c, amount in money.items())
    return account


def deposit(account: Account, currency: str, amount: Decimal, by: str, payments: int | None = None) -> None:
    """Add money to what an account has free, or take it out when amount is negative. Raises Refused.

    payments: how many there were in this currency when it was decided on, so that what is sent twice is paid once.
    """
    named = f"{abs(amount).normalize():f} {currency}"
    with transaction.atomic():
        _count(account, currency, payments)
        if account.mode == Mode.LIVE:
            live_money.require_simulated(account.exchange)
        if amount < 0 and not balances.reserve(account, currency, -amount):
            raise Refused(f"account {account.name} has less than {named} free; nothing was withdrawn.")
        if amount > 0:
            balances.release(account, currency, amount)
        if account.mode == Mode.LIVE:
            live_money.give(account, {currency: amount})
        code, verb = ("withdrawal", "withdrawn from") if amount < 0 else ("deposit", "paid into")
        Event.objects.create(
            owner_id=account.owner_id, code=code, message=f"{named} {verb} account {account.name}{by_whom(by)}."
        )
        notify.changed([notify.user_topic(account.owner_id)])


def _count(account: Account, currency: str, payments: int | None) -> None:
    """One payment more, of the row that others wait for now. Raises Refused."""
    Balance.objects.get_or_create(account=account, currency=currency)
    rows = Balance.objects.filter(account=account, currency=currency)
    if payments is not None:
        rows = rows.filter(payments=payments)
    if not rows.update(payments=F("payments") + 1):
        raise Refused(
            f"{currency} was paid into or withdrawn from account {account.name} since this form was opened; nothing "
            "was changed now."
        )
