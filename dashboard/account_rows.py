"""Rows of the page of accounts: what each has free, and what its bots were given of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Sum

from bots.models import Account, Run
from dashboard import formats
from dashboard.forms import accounts_of


class BalanceRow(NamedTuple):
    """Of one currency. bots: how many are alive; given, worth: their allocations and their equity."""

    currency: str
    free: str
    bots: str
    given: str
    worth: str


class AccountRow(NamedTuple):
    account: Account
    balances: list[BalanceRow]


def account_rows(owner: Any) -> list[AccountRow]:
    """The owner's accounts: three queries, however many there are."""
    accounts = list(accounts_of(owner).prefetch_related("balances"))
    alive = Run.objects.filter(bot__account__in=accounts).exclude(status=Run.Status.STOPPED)
    sums = alive.values_list("bot__account_id", "market__quote").annotate(Count("pk"), Sum("allocation"), Sum("equity"))
    given = {(account, currency): figures for account, currency, *figures in sums.order_by()}
    return [AccountRow(account, _balances(account, given)) for account in accounts]


def _balances(account: Account, given: dict[tuple[int, str], list[Any]]) -> list[BalanceRow]:
    """Currencies with money, free or in bots: what a bot is given was in a balance before."""
    return [
        _balance(balance.currency, balance.free, *given.get((account.pk, balance.currency), [None] * 3))
        for balance in account.balances.all()
        if balance.free or (account.pk, balance.currency) in given
    ]


def _balance(
    currency: str, free: Decimal, bots: int | None, given: Decimal | None, worth: Decimal | None
) -> BalanceRow:
    """free to the last digit, as a part of a coin may be a fortune, and two places at least."""
    places = max(2, -int(free.normalize().as_tuple().exponent))
    return BalanceRow(
        currency,
        f"{free:,.{places}f}",
        formats.number(bots, 0),
        formats.money(given, currency),
        formats.money(worth, currency),
    )
