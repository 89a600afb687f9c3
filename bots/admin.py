from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.db.models import DecimalField, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from bots import guards, halts, services
from bots.balance_form import BalanceForm
from bots.forms import BotForm, ExactField, form_for, limit_fields, param_fields
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Account, Balance, Bot, Event, Halt, Mode, Order, Run, Trade
from bots.user_admin import UserAdmin
from markets.admin import prefilled

if TYPE_CHECKING:
    BotModelAdmin = admin.ModelAdmin[Bot]
    AccountModelAdmin = admin.ModelAdmin[Account]
    BalanceTabularInline = admin.TabularInline[Balance, Account]
    RecordModelAdmin = admin.ModelAdmin[Any]
else:
    BotModelAdmin = AccountModelAdmin = RecordModelAdmin = admin.ModelAdmin
    BalanceTabularInline = admin.TabularInline


LIMITS_HELP = (
    "What the bot may do at most; empty is no limit. Changed limits hold from the next start, as parameters do: "
    "a run keeps those it began with."
)


def exact(name: str, label: str = "") -> Any:
    """A column or field of an exact number, without the zeros that its column has behind the point."""

    @admin.display(description=label or name.replace("_", " "), ordering=name, empty_value="–")
    def shown(row: Any) -> str | None:
        value = getattr(row, name)
        return None if value is None else f"{value.normalize():f}"

    return shown


class BalanceInline(BalanceTabularInline):
    """What is typed is a deposit or a withdrawal of the difference: bots take and give money at the same time."""

    model = Balance
    extra = 0
    can_delete = False
    formfield_overrides = {DecimalField: {"form_class": ExactField}}

    def get_formset(self, request: HttpRequest, obj: Account | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, form=BalanceForm, **kwargs)


class AccountAdmin(AccountModelAdmin):
    list_display = ("name", "owner", "mode", "exchange", exact("max_exposure"), "halted_at")
    list_filter = ("mode", "exchange")
    list_select_related = ("owner", "exchange")
    search_fields = ("name", "owner__username")
    inlines = (BalanceInline,)
    formfield_overrides = {DecimalField: {"form_class": ExactField}}
    actions = ("halt_and_keep", "halt_and_sell", "release")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return _own(super().get_queryset(request), request)

    def get_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        fields = ("owner", "name", "mode", "exchange", "max_exposure")
        return (*fields, "kill_switch") if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        # Its bots and their history are of this owner, mode and exchange.
        return ("owner", "mode", "exchange", "kill_switch") if obj else ()

    @admin.display(description="Kill switch")
    def kill_switch(self, account: Account) -> SafeString:
        """Whether it is halted, and the link to the page that halts or releases it."""
        state = guards.halted(account, Halt.objects.first())
        act, word = ("release", "Release…") if account.halted_at else ("halt", "Halt this account…")
        link = f"{reverse(act)}?account={account.pk}"
        return format_html('{} <a href="{}">{}</a>', state or "Its bots may trade.", link, word)

    @admin.action(permissions=["change"], description="Halt the selected accounts: pause their bots, keep positions")
    def halt_and_keep(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        self._halt(request, accounts, close_positions=False)

    @admin.action(permissions=["change"], description="Halt the selected accounts: stop their bots, sell positions")
    def halt_and_sell(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        self._halt(request, accounts, close_positions=True)

    def _halt(self, request: HttpRequest, accounts: QuerySet[Account], close_positions: bool) -> None:
        done = halts.halt(accounts, request.user.get_username(), close_positions)
        messages.warning(request, f"Halted: {done}.")

    @admin.action(permissions=["change"], description="Release the selected accounts: bots may start again")
    def release(self, request: HttpRequest, accounts: QuerySet[Account]) -> None:
        count = halts.release(accounts, request.user.get_username())
        messages.success(request, f"{count} {'account' if count == 1 else 'accounts'} released.")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)  # tells the history what changed; the money moves by deposits
        for one in formset.forms:
            if one.difference:
                self._deposit(request, form.instance, one)

    def _deposit(self, request: HttpRequest, account: Account, form: BalanceForm) -> None:
        try:
            by, payments = request.user.get_username(), form.cleaned_data["payments"]
            services.deposit(account, form.instance.currency, form.difference, by, payments)
        except services.Refused as error:
            messages.error(request, str(error))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "mode":
            kwargs["choices"] = [choice for choice in Mode.choices if choice[0] != Mode.REPLAY]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner" and not getattr(request.user, "is_superuser", False):
            kwargs["queryset"] = get_user_model().objects.filter(username=request.user.get_username())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class MarketSelect(AutocompleteSelect):
    """Django's own breaks when what was sent as a key is no number."""

    def optgroups(self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None) -> Any:
        return super().optgroups(name, [one for one in value if str(one).isascii() and str(one).isdigit()], attrs)


class BotAdmin(BotModelAdmin):
    """Bots are configured here. Parameters take effect at the next start: a run keeps those it began with."""

    list_display = ("name", "kind", "market", "account", "status", exact("allocation"), "reason")
    list_filter = ("status", "kind", "timeframe", "market__exchange", "account__mode")
    list_select_related = ("market__exchange", "account", "owner")
    search_fields = ("name", "market__symbol")
    autocomplete_fields = ("market",)
    actions = ("start", "pause", "resume", "stop_and_keep", "stop_and_sell")
    readonly_fields = ("kinds", "status", "reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bot]:
        return _own(super().get_queryset(request), request)

    def get_form(self, request: HttpRequest, obj: Bot | None = None, change: bool = False, **kwargs: Any) -> Any:
        # The model form factory does not know the fields of the kind's parameters, so the form brings them.
        form: type[BotForm] = form_for(_kind(request, obj))
        kwargs |= {"form": form, "fields": form.Meta.fields}
        return super().get_form(request, obj, change, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "account":
            kwargs["queryset"] = _own(Account.objects.select_related("exchange", "owner"), request)
        if db_field.name == "market":
            kwargs["widget"] = MarketSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return prefilled(super().get_changeform_initial_data(request), "market")

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Of two at once: who stores a bot of the other's name is shown the form with the reason at its name, and who
        stores one that the other deleted is told that it is gone."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (ParamsError, Bot.DoesNotExist):
            # What the other did is stored by now, so Django sees it.
            return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Bot, form: Any, change: bool) -> None:
        services.configure(obj, request.user.get_username())

    def get_fieldsets(self, request: HttpRequest, obj: Bot | None = None) -> Any:
        kind = KINDS.get(_kind(request, obj)) or next(iter(KINDS.values()))
        return [
            (None, {"fields": ("kinds", "status", "reason") if obj else ("kinds",)}),
            (None, {"fields": BotForm.Meta.fields}),
            (kind.label, {"fields": tuple(param_fields(kind)), "description": kind.summary}),
            ("Limits", {"fields": tuple(limit_fields()), "description": LIMITS_HELP}),
        ]

    def kinds(self, bot: Bot | None = None) -> SafeString:
        """The kind; for a new bot the links to the forms of all kinds, the chosen one marked."""
        if bot is not None and bot.pk:
            return format_html("{}", KINDS[bot.kind].label if bot.kind in KINDS else bot.kind)
        add, link = reverse("admin:bots_bot_add"), '<a href="{}?kind={}">{}</a>'
        parts = (
            format_html("<strong>{}</strong>", one.label)
            if bot is not None and bot.kind == one.slug
            else format_html(link, add, one.slug, one.label)
            for one in KINDS.values()
        )
        return format_html_join(" · ", "{}", ((part,) for part in parts))

    kinds.short_description = "Kind"  # type: ignore[attr-defined]

    @admin.action(permissions=["change"], description="Start the selected bots")
    def start(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        self._each(request, bots, services.start, "started")

    @admin.action(permissions=["change"], description="Pause the selected bots and withdraw their orders")
    def pause(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        self._each(request, bots, lambda bot: services.pause(bot, by=request.user.get_username()), "paused")

    @admin.action(permissions=["change"], description="Resume the selected bots")
    def resume(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        self._each(request, bots, services.resume, "resumed")

    @admin.action(permissions=["change"], description="Stop the selected bots and keep their positions in the account")
    def stop_and_keep(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        self._stop(request, bots, close_position=False)

    @admin.action(permissions=["change"], description="Stop the selected bots and sell their positions")
    def stop_and_sell(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        self._stop(request, bots, close_position=True)

    def _stop(self, request: HttpRequest, bots: QuerySet[Bot], close_position: bool) -> None:
        name = request.user.get_username()
        self._each(request, bots, lambda bot: services.stop(bot, close_position, name), "stopped")

    def _each(self, request: HttpRequest, bots: QuerySet[Bot], act: Callable[[Bot], Any], done: str) -> None:
        """Do it to each bot by itself: one refusal does not hold back the others."""
        count = 0
        for bot in bots:
            try:
                act(bot)
                count += 1
            except services.Refused as error:
                messages.error(request, f"{bot.name}: {error}")
        if count:
            messages.success(request, f"{count} {'bot' if count == 1 else 'bots'} {done}.")

    def has_delete_permission(self, request: HttpRequest, obj: Bot | None = None) -> bool:
        # A bot that ran has trades, and trades are never deleted.
        return obj is not None and not obj.runs.exists() and super().has_delete_permission(request, obj)


class RecordAdmin(RecordModelAdmin):
    """Rows that the engine writes: to be read, never edited."""

    show_full_result_count = False  # counting a million rows is slower than showing a page of them

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if getattr(request.user, "is_superuser", False) else rows.filter(bot__owner=request.user)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = [field for field in self.model._meta.fields if field.name not in (self.exclude or ())]
        return [exact(field.name) if isinstance(field, DecimalField) else field.name for field in fields]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RunAdmin(RecordAdmin):
    list_display = ("bot", "number", "status", "mode", "trades_count", "started_at", "stopped_at", "reason")
    list_filter = ("status", "mode", "kind")
    list_select_related = ("bot",)
    exclude = ("state", "orders")


class OrderAdmin(RecordAdmin):
    list_display = (
        "client_id",
        "bot",
        "market",
        "side",
        "type",
        exact("price"),
        exact("amount"),
        "status",
        "created_at",
    )
    list_filter = ("status", "side")
    list_select_related = ("bot", "market__exchange")


class TradeAdmin(RecordAdmin):
    list_display = (
        "time",
        "bot",
        "market",
        "side",
        exact("price"),
        exact("amount"),
        exact("fee"),
        exact("realized", "realized before fee"),
        "tag",
    )
    list_filter = ("side", "mode")
    list_select_related = ("bot", "market__exchange")


class EventAdmin(RecordAdmin):
    list_display = ("time", "bot", "level", "code", "message")
    list_filter = ("level", "code")
    list_select_related = ("bot",)


def _own(rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """A superuser's rows are all, other staff's are their own."""
    return rows if getattr(request.user, "is_superuser", False) else rows.filter(owner=request.user)


def _kind(request: HttpRequest, bot: Bot | None) -> str:
    return bot.kind if bot else request.GET.get("kind", "")


admin.site.unregister(get_user_model())
admin.site.register(get_user_model(), UserAdmin)
admin.site.register(Account, AccountAdmin)
admin.site.register(Bot, BotAdmin)
admin.site.register(Run, RunAdmin)
admin.site.register(Order, OrderAdmin)
admin.site.register(Trade, TradeAdmin)
admin.site.register(Event, EventAdmin)
