from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from markets import services
from markets.models import Exchange, Feed, Market
from markets.surface import GatewayError

_NUMBER = re.compile(r"[0-9]{1,18}")

if TYPE_CHECKING:
    ExchangeAdminBase = admin.ModelAdmin[Exchange]
    MarketAdminBase = admin.ModelAdmin[Market]
    FeedAdminBase = admin.ModelAdmin[Feed]
else:
    ExchangeAdminBase = MarketAdminBase = FeedAdminBase = admin.ModelAdmin


def prefilled(initial: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What an address fills into a form, without keys that are no numbers: Django's autocomplete breaks on those."""
    return {name: value for name, value in initial.items() if name not in keys or _NUMBER.fullmatch(str(value))}


class ExchangeAdmin(ExchangeAdminBase):
    list_display = ["name", "slug", "ccxt_id", "enabled", "created_at"]
    list_filter = ["enabled", "ccxt_id"]
    search_fields = ["name", "slug", "ccxt_id"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["created_at"]
    actions = ["load_markets"]

    @admin.action(description="Load the list of markets", permissions=["change"])
    def load_markets(self, request: HttpRequest, exchanges: QuerySet[Exchange]) -> None:
        for exchange in exchanges:
            try:
                count = services.sync_markets(exchange)
            except GatewayError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, f"{exchange}: {count} markets.", messages.SUCCESS)


class MarketAdmin(MarketAdminBase):
    list_display = [
        "symbol",
        "exchange",
        "type",
        "tick_text",
        "lot_text",
        "maker",
        "taker",
        "max_leverage",
        "last",
        "last_at",
        "active",
    ]
    list_filter = ["exchange", "type", "active", "quote"]
    list_select_related = ["exchange"]
    search_fields = ["symbol", "base", "quote"]
    autocomplete_fields = ["exchange"]
    readonly_fields = ["last", "last_at", "change_24h", "quote_volume_24h"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return prefilled(super().get_changeform_initial_data(request), "exchange")

    @admin.display(description="tick", ordering="tick")
    def tick_text(self, market: Market) -> str:
        return f"{market.tick.normalize():f}"

    @admin.display(description="lot", ordering="lot")
    def lot_text(self, market: Market) -> str:
        return f"{market.lot.normalize():f}"


class FeedAdmin(FeedAdminBase):
    list_display = ["market", "timeframe", "enabled", "keep_days", "synced", "checked_at", "error"]
    list_filter = ["enabled", "timeframe", "market__exchange", ("error", admin.EmptyFieldListFilter)]
    list_select_related = ["market__exchange"]
    search_fields = ["market__symbol", "error"]
    autocomplete_fields = ["market"]
    readonly_fields = ["synced", "checked_at", "error"]
    actions = ["recompute"]

    @admin.action(description="Compute the indicators anew", permissions=["change"])
    def recompute(self, request: HttpRequest, feeds: QuerySet[Feed]) -> None:
        count = services.recompute_indicators(feeds.values_list("pk", flat=True))
        self.message_user(request, f"Indicators of {count} feeds are computed.", messages.SUCCESS)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return prefilled(super().get_changeform_initial_data(request), "market")

    @admin.display(description="last candle", ordering="synced_to", empty_value="–")
    def synced(self, feed: Feed) -> datetime | None:
        return None if feed.synced_to is None else datetime.fromtimestamp(feed.synced_to / 1000, UTC)


admin.site.register(Exchange, ExchangeAdmin)
admin.site.register(Market, MarketAdmin)
admin.site.register(Feed, FeedAdmin)
