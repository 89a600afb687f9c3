from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from bots.models import Order
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Listing, given, one_of, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Id, Page, Paged, Row

router = Router(auth=READ, tags=["Orders"])


class OrderRow(Row):
    """price: limit or trigger in quote, null for market orders; amount and filled in base."""

    id: int
    bot: int
    bot_name: str
    run: int
    market: int
    symbol: str
    mode: str
    client_id: str
    type: str
    side: Literal["buy", "sell"]
    price: Exact | None
    amount: Exact
    filled: Exact
    status: str
    tag: str = Field(description="What the order is for.")
    created_at: datetime
    updated_at: datetime


COLUMNS = {
    "id": "id",
    "bot": "bot_id",
    "bot_name": "bot__name",
    "run": "run__number",
    "market": "market_id",
    "symbol": "market__symbol",
    "mode": "run__mode",
    "client_id": "client_id",
    "type": "type",
    "side": "side",
    "price": "price",
    "amount": "amount",
    "filled": "filled",
    "status": "status",
    "tag": "tag",
    "created_at": "created_at",
    "updated_at": "updated_at",
}


class OrdersAsked(Paged):
    status: Literal["waiting", "pending", "open", "canceling", "closed", "canceled", "rejected", "all"] = "open"
    mode: Literal["paper", "live"] | None = None
    bot: Id | None = None
    market: Id | None = None
    side: Literal["buy", "sell"] | None = None


@router.get("", response=Page[OrderRow], summary="Orders, newest first")
def orders(request: HttpRequest, asked: Query[OrdersAsked]) -> Any:
    choose(request, asked.fields, OrderRow)
    status = None if asked.status == "all" else asked.status
    wanted = given(status=status, run__mode=asked.mode, bot=asked.bot, market=asked.market, side=asked.side)
    rows = Order.objects.filter(owner=owner(request), **wanted)
    branches = [] if status else [{"status": one} for one in Order.Status.values]
    return page_of(Listing(rows, COLUMNS, "created_at", branches=branches), asked)


@router.get("/{int:order_id}", response=OrderRow, summary="One order")
def order(request: HttpRequest, order_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, OrderRow)
    return one_of(Order.objects.filter(owner=owner(request)), COLUMNS, order_id)
