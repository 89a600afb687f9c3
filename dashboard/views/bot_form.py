from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from bots import services
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.models import Account, Backtest, Balance, Bot
from dashboard import parameters
from dashboard.forms import (
    USUAL_DAYS,
    USUAL_MONEY,
    OwnBotForm,
    accounts_of,
    groups,
    own_form_for,
    settings_typed,
    suggested,
    usual_account,
)
from dashboard.preview import preview
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.markets import chart_settings, stored_timeframes
from markets.models import Market
from markets.series import TIMEFRAMES

MOST_MARKETS = 400  # on offer
TYPED = "days"  # in the address: the rest of the form is there too


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def new_bot(request: HttpRequest) -> HttpResponse:
    """Choose a kind; then its form beside the chart, tried on the past while it is filled in.

    GET tries what the address says and stores nothing; POST creates the bot, and starts it when asked to.
    ?clone= begins with the settings of an own bot.
    """
    kind = KINDS.get(request.GET.get("kind", "")) or _cloned_kind(request)
    if kind and wants_fragment(request) and TYPED in request.GET:
        form = own_form_for(kind.slug)(typed_in_address(request), owner=request.user, trying=True)
        return render_preview(request, form)
    accounts = list(accounts_of(request.user))
    chosen = getattr(_backtest(request), "market_id", 0) or parameters.whole(request.GET, "market", 0, 0, 2**31 - 1)
    markets = offered_markets(accounts, chosen, kind)
    if kind is None or not markets:
        return choose_kind(request, markets)
    typed = posted(request) if request.method == "POST" else typed_or_suggested(request, kind, accounts, markets)
    form = own_form_for(kind.slug)(typed, owner=request.user)
    if request.method == "POST" and form.is_valid() and (made := form.stored(request.user.get_username())):
        return _created(request, made)
    context = form_context(request, form, markets) | {
        "heading": f"New {kind.label} bot",
        "kind": kind,
        "kinds": list(KINDS.values()),
        "has_account": bool(accounts),
    }
    return render(request, "dashboard/bot_form.html", context)


def render_preview(request: HttpRequest, form: OwnBotForm, released: Decimal = Decimal(0)) -> HttpResponse:
    """The part of a form's page that changes while it is filled in."""
    timeframe = TIMEFRAMES.get(request.GET.get("chart", "")) or _timeframe(form)
    return render(request, "dashboard/_preview.html", {"preview": preview(form, timeframe, released)})


def form_context(
    request: HttpRequest, form: OwnBotForm, markets: list[tuple[int, str]], released: Decimal = Decimal(0)
) -> dict[str, Any]:
    """What the page of a form needs, its preview included."""
    market, timeframe = _market(form, markets), _timeframe(form)
    return {
        "nav": "bots",
        "form": form,
        "market": market,
        "markets": markets,
        "groups": groups(form, market),
        "preview": preview(form, timeframe, released),
        "chart": chart_settings(market, timeframe, request),
        "live_topics": f"market:{market.pk}",
        "simulated": market.exchange.is_simulated,
    }


def _market(form: OwnBotForm, markets: list[tuple[int, str]]) -> Market:
    form.is_valid()
    found = form.cleaned_data.get("market")
    if isinstance(found, Market):
        return found
    return Market.objects.select_related("exchange").prefetch_related("feeds").get(pk=markets[0][0])


def _timeframe(form: OwnBotForm) -> int:
    form.is_valid()
    return int(form.cleaned_data.get("timeframe") or 60)


def offered_markets(accounts: list[Account], chosen: int, kind: Kind | None) -> list[tuple[int, str]]:
    """(number, symbol and exchange) of the markets that candles are collected of, and of the chosen one.

    For a kind that works on margin the swaps alone, where there are any.
    """
    exchanges = {account.exchange_id for account in accounts}
    found: QuerySet[Market] = Market.objects.filter(active=True, feeds__isnull=False).distinct()
    if exchanges:
        found = found.filter(exchange__in=exchanges)
    if kind is not None and kind.margin and found.filter(type="swap").exists():
        found = found.filter(type="swap")
    columns = ("pk", "symbol", "exchange__name")
    rows = list(found.order_by("symbol", "pk").values_list(*columns)[:MOST_MARKETS])
    if chosen and chosen not in {pk for pk, *_ in rows}:
        rows = [*Market.objects.filter(pk=chosen).values_list(*columns), *rows]
    return [(pk, f"{symbol} · {exchange}") for pk, symbol, exchange in rows]


def choose_kind(
    request: HttpRequest, markets: list[tuple[int, str]], heading: str = "New bot", nav: str = "bots"
) -> HttpResponse:
    market = parameters.whole(request.GET, "market", 0, 0, 2**31 - 1)
    context = {
        "nav": nav,
        "heading": heading,
        "kinds": list(KINDS.values()),
        "market": market,
        "has_markets": bool(markets),
    }
    return render(request, "dashboard/choose_kind.html", context)


def _source(request: HttpRequest) -> Bot | None:
    number = parameters.whole(request.GET, "clone", 0, 0, 2**31 - 1)
    return get_object_or_404(Bot.objects.owned_by(request.user), pk=number) if number else None


def _backtest(request: HttpRequest) -> Backtest | None:
    number = parameters.whole(request.GET, "backtest", 0, 0, 2**31 - 1)
    own = Backtest.objects.owned_by(request.user).select_related("market").defer("curve", "trades")
    return get_object_or_404(own, pk=number) if number else None


def _cloned_kind(request: HttpRequest) -> Kind | None:
    source = _source(request) or _backtest(request)
    return KINDS.get(source.kind) if source else None


def _of_backtest(request: HttpRequest, backtest: Backtest, accounts: list[Account]) -> dict[str, str]:
    """A bot with the settings of a backtest; of a grid those of the set that ?set= names."""
    number = parameters.whole(request.GET, "set", -1, 0, max(0, len(backtest.results) - 1))
    chosen = backtest.results[number][0] if 0 <= number < len(backtest.results) else {}
    account = usual_account(accounts, backtest.market)
    bot = Bot(
        account=account, market=backtest.market, kind=backtest.kind, timeframe=backtest.timeframe,
        allocation=backtest.allocation, params=backtest.params | chosen, limits=backtest.limits,
    )  # fmt: skip
    name = _free_name(request, f"{KINDS[backtest.kind].label} {backtest.market.base}")
    return settings_typed(bot) | {"name": name, "account": str(account.pk) if account else "", "days": USUAL_DAYS}


def posted(request: HttpRequest) -> dict[str, str]:
    return {name: value for name, value in request.POST.items() if isinstance(value, str)}


def typed_or_suggested(
    request: HttpRequest, kind: Kind, accounts: list[Account], markets: list[tuple[int, str]]
) -> dict[str, str]:
    """What the address says; else the settings of another bot, or a suggestion."""
    if TYPED in request.GET:
        return typed_in_address(request)
    if bot := _source(request):
        return settings_typed(bot) | {"name": f"{bot.name} copy"[:80], "days": USUAL_DAYS}
    if backtest := _backtest(request):
        return _of_backtest(request, backtest, accounts)
    wanted = parameters.whole(request.GET, "market", 0, 0, 2**31 - 1)
    pk = wanted if wanted in dict(markets) else markets[0][0]
    market = Market.objects.prefetch_related("feeds").get(pk=pk)
    account = usual_account(accounts, market)
    timeframe = min(stored_timeframes(market), default=60)
    suggestion = suggested(kind, market, account, timeframe, _money(account, market))
    return suggestion | {"name": _free_name(request, suggestion["name"])}


def typed_in_address(request: HttpRequest) -> dict[str, str]:
    """The chart's switch puts the name of a timeframe where the form has its seconds."""
    typed = {name: value for name, value in request.GET.items() if isinstance(value, str)}
    if (name := typed.get("timeframe")) in TIMEFRAMES:
        typed["timeframe"] = str(TIMEFRAMES[name])
    return typed


def _money(account: Account | None, market: Market) -> Decimal:
    """A usual allocation, less when the account has less."""
    free = Balance.objects.filter(account=account, currency=market.quote).values_list("free", flat=True).first()
    return min(USUAL_MONEY, free) if free else USUAL_MONEY


def _free_name(request: HttpRequest, name: str) -> str:
    """A name that none of the visitor's bots has."""
    taken = set(Bot.objects.owned_by(request.user).filter(name__startswith=name).values_list("name", flat=True))
    numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def _created(request: HttpRequest, bot: Bot) -> HttpResponse:
    if request.POST.get("then") != "start":
        messages.success(request, f"{bot.name} is created as a draft; start it when you are ready.")
        return redirect(bot)
    try:
        services.start(bot)
    except services.Refused as refusal:
        messages.warning(request, f"{bot.name} is created, but not started: {refusal}")
    else:
        messages.success(request, f"{bot.name} is created and started.")
    return redirect(bot)
