from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from bots.models import Mode, Run, Trade
from dashboard.api.authentication import READ, owner
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Id, Page, Paged, Row, Since
from dashboard.keyset import Listing, between, equal

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


MODES: list[str] = [Mode.PAPER, Mode.LIVE]
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


def _with_net() -> QuerySet[Trade]:
    return Trade.objects.annotate(net=F("realized") - F("fee"))


SHOWN = Shown(_with_net, COLUMNS)


class TradesAsked(Paged, Since):
    mode: Literal["paper", "live"] | None = None
    bot: Id | None = None
    market: Id | None = None
    side: Literal["buy", "sell"] | None = None


@router.get("", response=Page[TradeRow], summary="Executions, newest first")
def trades(request: HttpRequest, asked: Query[TradesAsked]) -> Any:
    choose(request, asked.fields, TradeRow)
    modes: list[str] = [asked.mode] if asked.mode else MODES
    where = equal(owner_id=owner(request).pk, bot_id=asked.bot, market_id=asked.market)
    branches = {"mode": modes}  # trade_owner_mode_time
    if asked.bot:  # trade_bot_time
        where, branches = [*where, ("t.mode = ANY(%s)", (modes,))], {}
    narrowed = [*equal(side=asked.side), *between("t.time", asked.since, asked.until)]
    # A run counts its trades, which are never deleted: no need to count them again.
    known = None if narrowed else _recorded(owner(request), modes, asked)
    return page_of(SHOWN, Listing("bots_trade", ("time", "id"), [*where, *narrowed], branches), asked, known)


def _recorded(owner: Any, modes: list[str], asked: TradesAsked) -> int:
    wanted = {"bot": asked.bot, "market": asked.market}
    runs = Run.objects.filter(bot__owner=owner, mode__in=modes, **{name: pk for name, pk in wanted.items() if pk})
    return int(runs.aggregate(count=Sum("trades_count", default=0))["count"])


@router.get("/{int:trade_id}", response=TradeRow, summary="One execution")
def trade(request: HttpRequest, trade_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, TradeRow)
    return SHOWN.one(pk=trade_id, owner=owner(request), mode__in=MODES)
