from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from bots.models import Order
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Id, Page, Paged, Row
from dashboard.keyset import Listing, equal
from dashboard.listings import of_mode

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
SHOWN = Shown(Order.objects.all, COLUMNS)


class OrdersAsked(Paged):
    status: Literal["waiting", "pending", "open", "canceling", "closed", "canceled", "rejected", "all"] = "open"
    mode: Literal["paper", "live"] | None = None
    bot: Id | None = None
    market: Id | None = None
    side: Literal["buy", "sell"] | None = None


@router.get("", response=Page[OrderRow], summary="Orders, newest first")
def orders(request: HttpRequest, asked: Query[OrdersAsked]) -> Any:
    choose(request, asked.fields, OrderRow)
    own = equal(owner_id=owner(request).pk, bot_id=asked.bot, market_id=asked.market, side=asked.side)
    states = Order.Status.values if asked.status == "all" else [asked.status]
    # order_owner_status, order_bot_status
    listing = Listing("bots_order", ("created_at", "id"), [*own, *of_mode(asked.mode)], {"status": states})
    return page_of(SHOWN, listing, asked)


@router.get("/{int:order_id}", response=OrderRow, summary="One order")
def order(request: HttpRequest, order_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, OrderRow)
    return SHOWN.one(pk=order_id, owner=owner(request))
