from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from bots.models import Account, Mode
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Page, Paged, Row
from dashboard.keyset import Listing
from markets.models import Exchange

router = Router(auth=READ, tags=["Exchanges and accounts"])


class ExchangeRow(Row):
    id: int
    slug: str
    name: str
    ccxt_id: str
    enabled: bool
    markets: int


def _exchanges() -> QuerySet[Exchange]:
    return Exchange.objects.annotate(markets_count=Count("markets"))


# Not ccxt_config: it may hold what opens an account.
COLUMNS = {name: "markets_count" if name == "markets" else name for name in ExchangeRow.model_fields}
SHOWN = Shown(_exchanges, COLUMNS)


@router.get("/exchanges", response=Page[ExchangeRow], summary="Exchanges, by name")
def exchanges(request: HttpRequest, asked: Query[Paged]) -> Any:
    choose(request, asked.fields, ExchangeRow)
    return page_of(SHOWN, Listing("markets_exchange", ("name", "id"), alphabetic=True), asked)


@router.get("/exchanges/{int:exchange_id}", response=ExchangeRow, summary="One exchange")
def exchange(request: HttpRequest, exchange_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, ExchangeRow)
    return SHOWN.one(pk=exchange_id)


class BalanceRow(Row):
    currency: str
    free: Exact


class AccountRow(Row):
    """balances: what is not allotted to bots. max_exposure: in quote, null is no limit."""

    id: int
    name: str
    mode: str
    exchange: str
    max_exposure: Exact | None
    halted_at: datetime | None
    halted_reason: str
    balances: list[BalanceRow]


class Accounts(Row):
    items: list[AccountRow]


@router.get("/accounts", response=Accounts, summary="Own accounts, with what they have free")
def accounts(request: HttpRequest, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, AccountRow)
    return {"items": [_account(one) for one in _accounts(request)]}


@router.get("/accounts/{int:account_id}", response=AccountRow, summary="One account")
def account(request: HttpRequest, account_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, AccountRow)
    return _account(get_object_or_404(_accounts(request), pk=account_id))


def _accounts(request: HttpRequest) -> Any:
    own = Account.objects.filter(owner=owner(request)).exclude(mode=Mode.REPLAY)
    return own.select_related("exchange").prefetch_related("balances")


def _account(account: Account) -> dict[str, Any]:
    same = ("id", "name", "mode", "max_exposure", "halted_at", "halted_reason")
    balances = [{"currency": one.currency, "free": one.free} for one in account.balances.all()]
    return {name: getattr(account, name) for name in same} | {"exchange": account.exchange.slug, "balances": balances}
