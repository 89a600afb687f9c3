from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.db.models import F, QuerySet
from django.http import HttpRequest
from ninja import Query, Router

from bots.models import Position
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Id, Page, Paged, Row
from dashboard.keyset import Listing, equal
from dashboard.listings import of_mode

router = Router(auth=READ, tags=["Positions"])


class PositionRow(Row):
    """amount in base, the rest in quote. last: the market's last price; unrealized: at it, before fees.

    realized: locked in at average cost, less fees.
    """

    id: int
    bot: int
    bot_name: str
    run: int
    market: int
    symbol: str
    mode: str
    status: Literal["open", "kept", "dismissed", "closed"]
    side: Literal["long", "short"]
    amount: Exact
    average_price: Exact
    last: float | None
    value: Exact | None
    unrealized: Exact | None
    realized: Exact
    fees: Exact
    opened_at: datetime
    closed_at: datetime | None


COLUMNS = {
    "id": "id",
    "bot": "bot_id",
    "bot_name": "bot__name",
    "run": "run__number",
    "market": "market_id",
    "symbol": "market__symbol",
    "mode": "run__mode",
    "status": "status",
    "side": "side",
    "amount": "amount",
    "average_price": "average_price",
    "last": "market__last",
    "realized": "net",
    "fees": "fees",
    "opened_at": "opened_at",
    "closed_at": "closed_at",
}


def _with_net() -> QuerySet[Position]:
    return Position.objects.annotate(net=F("realized") - F("fees"))


SHOWN = Shown(_with_net, COLUMNS)


class PositionsAsked(Paged):
    status: Literal["open", "kept", "dismissed", "closed", "all"] = "open"
    mode: Literal["paper", "live"] | None = None
    bot: Id | None = None
    market: Id | None = None


@router.get("", response=Page[PositionRow], summary="Positions, the newest first")
def positions(request: HttpRequest, asked: Query[PositionsAsked]) -> Any:
    choose(request, asked.fields, PositionRow)
    own = equal(owner_id=owner(request).pk, bot_id=asked.bot, market_id=asked.market)
    states = Position.Status.values if asked.status == "all" else [asked.status]
    # position_owner_opened, position_bot_status
    listing = Listing("bots_position", ("opened_at", "id"), [*own, *of_mode(asked.mode)], {"status": states})
    page = page_of(SHOWN, listing, asked)
    return page | {"items": [_valued(row) for row in page["items"]]}


@router.get("/{int:position_id}", response=PositionRow, summary="One position")
def position(request: HttpRequest, position_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, PositionRow)
    return _valued(SHOWN.one(pk=position_id, owner=owner(request)))


def _valued(row: dict[str, Any]) -> dict[str, Any]:
    """A row with what it is worth at the last price, if the market has one and it is still held."""
    if row["last"] is None or row["status"] not in (Position.Status.OPEN, Position.Status.KEPT):
        return row | {"value": None, "unrealized": None}
    last = Decimal(repr(row["last"]))
    direction = -1 if row["side"] == "short" else 1
    gain = (last - row["average_price"]) * row["amount"] * direction
    return row | {"value": last * row["amount"], "unrealized": gain}
