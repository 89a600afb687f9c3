"""The columns that tables of an owner's rows need, as querysets.

Of a bot and a market a row shows four or five columns out of thirty: the others, JSON among them, would cost as much as
all else on the page.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from bots.models import Event, Order, Position, Trade

_MARKET = ("market__symbol", "market__quote", "market__tick", "market__lot")
_NOW = ("market__last", "bot__account__mode")


def positions() -> QuerySet[Position]:
    found = Position.objects.select_related("bot__account", "market")
    own = ("side", "amount", "average_price", "realized", "fees", "opened_at", "closed_at")
    return found.only(*own, "bot__name", *_MARKET, *_NOW)


def trades() -> QuerySet[Trade, Any]:
    """As named tuples: there are many on a page, and an instance of three models takes as long as all else of a row."""
    own = ("id", "time", "side", "price", "amount", "fee", "fee_currency", "realized", "tag", "mode")
    return Trade.objects.values_list(*own, "bot_id", "bot__name", "market_id", *_MARKET, named=True)


def orders() -> QuerySet[Order]:
    found = Order.objects.select_related("bot__account", "market")
    own = ("side", "type", "price", "amount", "filled", "tag", "status", "created_at")
    return found.only(*own, "bot__name", *_MARKET, *_NOW)


def events() -> QuerySet[Event]:
    found = Event.objects.select_related("bot")
    return found.only("level", "code", "message", "time", "data", "run", "bot__name")
