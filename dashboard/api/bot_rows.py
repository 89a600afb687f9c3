"""Bots as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from pydantic import Field

from bots import why
from bots.models import Bot, Event, Run
from dashboard import figures
from dashboard.api.schema import Exact, Row
from markets.series import TIMEFRAME_NAMES

TOLD = 100  # latest events, of which the answer why it does not trade is made


class BotRow(Row):
    """Money in quote. pnl: over all runs in this mode and currency; equity: of the run that is alive."""

    id: int
    name: str
    kind: str
    status: str
    reason: str
    account: int
    mode: str
    exchange: str
    market: int
    symbol: str
    timeframe: str
    allocation: Exact
    pnl: Exact | None
    equity: Exact | None
    trades: int
    created_at: datetime
    updated_at: datetime


COLUMNS = {
    "id": "id",
    "name": "name",
    "kind": "kind",
    "status": "status",
    "reason": "reason",
    "account": "account_id",
    "mode": "account__mode",
    "exchange": "market__exchange__slug",
    "market": "market_id",
    "symbol": "market__symbol",
    "timeframe": "timeframe",
    "allocation": "allocation",
    "pnl": "pnl",
    "equity": "equity_now",
    "trades": "trades_count",
    "created_at": "created_at",
    "updated_at": "updated_at",
}


class RunRow(Row):
    """The last run: what it was given and what it has. Money in quote, position in base, last_candle in ms UTC.

    realized: locked in at average cost, less fees; funding is apart.
    """

    number: int
    mode: str
    status: str
    reason: str
    allocation: Exact
    cash: Exact
    position: Exact
    equity: Exact
    realized: Exact
    fees: Exact
    funding: Exact
    trades: int
    last_price: float | None
    last_candle: int
    started_at: datetime
    stopped_at: datetime | None


class BotDetail(BotRow):
    """params, limits: what differs from the defaults. why: why it does not trade now."""

    params: dict[str, Any]
    limits: dict[str, Any]
    why: str
    run: RunRow | None = Field(description="null before the first start.")


def own(owner: Any, bot_id: int) -> Any:
    """The owner's bot with figures and orders. Raises Http404."""
    bots = figures.with_figures(Bot.objects.owned_by(owner))
    return get_object_or_404(why.with_orders(bots), pk=bot_id)


def named(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"timeframe": TIMEFRAME_NAMES.get(row["timeframe"], str(row["timeframe"]))}


def detail(owner: Any, bot_id: int) -> dict[str, Any]:
    """All of a bot. Raises Http404."""
    bot = own(owner, bot_id)
    run = bot.runs.defer("state", "orders").order_by("-number").first()
    events = list(Event.objects.filter(bot=bot).order_by("-id")[:TOLD])
    row = {name: _value(bot, column) for name, column in COLUMNS.items()}
    return named(row) | {
        "params": bot.params,
        "limits": bot.limits,
        "why": why.answer(bot, run, events, timezone.now()),
        "run": _run(run),
    }


def _run(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    renamed = {"trades": run.trades_count, "last_candle": run.bar_time, "realized": run.realized - run.fees}
    return {name: getattr(run, name) for name in RunRow.model_fields if name not in renamed} | renamed


def _value(found: Any, column: str) -> Any:
    for part in column.split("__"):
        found = getattr(found, part)
    return found
