from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from bots.models import Mode, Run, Trade
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Listing, given, one_of, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Id, Page, Paged, Row, Since

router = Router(auth=READ, tags=["Trades"])


class TradeRow(Row):
    """One execution. price, fee and realized in quote, amount in base; realized: profit locked in, less the fee."""

    id: int
    bot: int
    bot_name: str
    run: int
    market: int
    symbol: str
    mode: str
    time: datetime
    side: Literal["buy", "sell"]
    price: Exact
    amount: Exact
    fee: Exact
    fee_currency: str
    realized: Exact
    order: str = Field(description="Client id of the order.")
    tag: str


MODES = [Mode.PAPER, Mode.LIVE]
COLUMNS = {
    "id": "id",
    "bot": "bot_id",
    "bot_name": "bot__name",
    "run": "run__number",
    "market": "market_id",
    "symbol": "market__symbol",
    "mode": "mode",
    "time": "time",
    "side": "side",
    "price": "price",
    "amount": "amount",
    "fee": "fee",
    "fee_currency": "fee_currency",
    "realized": "net",
    "order": "client_id",
    "tag": "tag",
}


class TradesAsked(Paged, Since):
    mode: Literal["paper", "live"] | None = None
    bot: Id | None = None
    market: Id | None = None
    side: Literal["buy", "sell"] | None = None


@router.get("", response=Page[TradeRow], summary="Executions, newest first")
def trades(request: HttpRequest, asked: Query[TradesAsked]) -> Any:
    choose(request, asked.fields, TradeRow)
    modes = [asked.mode] if asked.mode else MODES
    same = {"mode__in": modes} | given(bot=asked.bot, market=asked.market)
    rows = _owned(request).filter(**same)
    narrowed = _narrowed(rows, asked)
    # A run counts its trades, which are never deleted: no need to count them again.
    known = (lambda: _recorded(owner(request), same)) if narrowed is rows else None
    branches = [] if asked.bot else [{"mode": mode} for mode in modes]
    return page_of(Listing(narrowed, COLUMNS, "time", known, branches=branches), asked)


def _owned(request: HttpRequest) -> QuerySet[Trade]:
    return Trade.objects.filter(owner=owner(request)).annotate(net=F("realized") - F("fee"))


def _narrowed(rows: QuerySet[Trade], asked: TradesAsked) -> QuerySet[Trade]:
    """Narrowed by what a run knows nothing of; the very same rows when it is by nothing."""
    wanted = given(side=asked.side, time__gte=asked.since, time__lt=asked.until)
    return rows.filter(**wanted) if wanted else rows


def _recorded(owner: Any, same: dict[str, Any]) -> int:
    runs = Run.objects.filter(bot__owner=owner, **same)
    return int(runs.aggregate(count=Sum("trades_count", default=0))["count"])


@router.get("/{int:trade_id}", response=TradeRow, summary="One execution")
def trade(request: HttpRequest, trade_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, TradeRow)
    return one_of(_owned(request).filter(mode__in=MODES), COLUMNS, trade_id)
