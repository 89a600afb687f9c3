from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from markets import gateway, services
from markets.models import CandleGap, Exchange, Feed, FeedNotice, Market
from markets.surface import GatewayError

_NUMBER = re.compile(r"[0-9]{1,18}")

if TYPE_CHECKING:
    ExchangeFormBase = ModelForm[Exchange]
    ExchangeAdminBase = admin.ModelAdmin[Exchange]
    CandleGapAdminBase = admin.ModelAdmin[CandleGap]
    MarketAdminBase = admin.ModelAdmin[Market]
    FeedAdminBase = admin.ModelAdmin[Feed]
    FeedNoticeAdminBase = admin.ModelAdmin[FeedNotice]
else:
    ExchangeFormBase = ModelForm
    ExchangeAdminBase = MarketAdminBase = FeedAdminBase = admin.ModelAdmin
    CandleGapAdminBase = FeedNoticeAdminBase = admin.ModelAdmin


def prefilled(initial: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What an address fills into a form, without keys that are no numbers: Django's autocomplete breaks on those."""
    return {name: value for name, value in initial.items() if name not in keys or _NUMBER.fullmatch(str(value))}


class ExchangeForm(ExchangeFormBase):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if cleaned and not self.errors:
            try:
                gateway.check(Exchange(**{name: cleaned[name] for name in ("slug", "name", "ccxt_id", "ccxt_config")}))
            except GatewayError as error:
                raise ValidationError(str(error)) from None
        return cleaned


class ExchangeAdmin(ExchangeAdminBase):
    form = ExchangeForm
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
    list_display = ["market", "timeframe", "enabled", "keep_days", "begins", "synced", "checked_at", "error"]
    list_filter = ["enabled", "timeframe", "market__exchange", ("error", admin.EmptyFieldListFilter)]
    list_select_related = ["market__exchange"]
    search_fields = ["market__symbol", "error"]
    autocomplete_fields = ["market"]
    readonly_fields = ["begins", "synced", "repaired", "checked_at", "error"]
    actions = ["recompute"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feed]:
        return Feed.objects.with_synced_from()

    @admin.action(description="Compute the indicators anew", permissions=["change"])
    def recompute(self, request: HttpRequest, feeds: QuerySet[Feed]) -> None:
        count = services.recompute_indicators(feeds.values_list("pk", flat=True))
        self.message_user(request, f"Indicators of {count} feeds are computed.", messages.SUCCESS)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return prefilled(super().get_changeform_initial_data(request), "market")

    @admin.display(description="last candle", ordering="synced_to", empty_value="–")
    def synced(self, feed: Feed) -> datetime | None:
        return _moment(feed.synced_to)

    @admin.display(description="first candle", empty_value="–")
    def begins(self, feed: Feed) -> datetime | None:
        return _moment(getattr(feed, "synced_from", None))

    @admin.display(description="holes filled or declared up to", empty_value="–")
    def repaired(self, feed: Feed) -> datetime | None:
        return _moment(feed.repaired_to)


class CandleGapAdmin(CandleGapAdminBase):
    """To be read, and to be deleted: what is not declared is asked for again."""

    list_display = ["market", "timeframe", "begins", "ends", "candles", "declared_at"]
    list_filter = ["timeframe", "market__exchange"]
    list_select_related = ["market__exchange"]
    search_fields = ["market__symbol"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CandleGap | None = None) -> bool:
        return False

    @admin.display(description="first missing", ordering="start")
    def begins(self, gap: CandleGap) -> datetime | None:
        return _moment(gap.start)

    @admin.display(description="next there is", ordering="end")
    def ends(self, gap: CandleGap) -> datetime | None:
        return _moment(gap.end)

    @admin.display(description="candles missing")
    def candles(self, gap: CandleGap) -> int:
        return (gap.end - gap.start) // (gap.timeframe * 1000)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


class FeedNoticeAdmin(FeedNoticeAdminBase):
    """What the sync saw: nothing to be edited. They go with their market, so that it can be deleted."""

    list_display = ["recorded_at", "market", "timeframe", "code", "sentence", "times_seen", "resolved_at"]
    list_filter = ["code", "timeframe", ("resolved_at", admin.EmptyFieldListFilter), "market__exchange"]
    list_select_related = ["market__exchange"]
    search_fields = ["market__symbol", "sentence"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, notice: FeedNotice | None = None) -> bool:
        return False


admin.site.register(Exchange, ExchangeAdmin)
admin.site.register(Market, MarketAdmin)
admin.site.register(Feed, FeedAdmin)
admin.site.register(CandleGap, CandleGapAdmin)
admin.site.register(FeedNotice, FeedNoticeAdmin)
