from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from bots.models import Bot, Mode
from dashboard import figures, parameters, rows
from dashboard.paging import numbered
from dashboard.views.bot_actions import ACTIONS
from dashboard.views.bulk import MOST
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept
from orchestrator.prepared import Given, Prepared

PAGE_SIZE = 25
# Sort name in the address -> column.
SORTS = {
    "name": "name",
    "status": "status",
    "kind": "kind",
    "market": "market__symbol",
    "mode": "account__mode",
    "pnl": "pnl",
    "equity": "equity_now",
    "trades": "trades_count",
    "created": "created_at",
}
DEFAULT_SORT = "-created"
# Sorts whose columns have to be added up over the runs of every bot.
FIGURES = ("pnl", "equity", "trades")
FILTERS = {
    "status": Q(status=Given("status")),
    "kind": Q(kind=Given("kind")),
    "market": Q(market=Given("market")),
    "mode": Q(account__mode=Given("mode")),
    "q": Q(name__icontains=Given("q"))
    | Q(market__symbol__icontains=Given("q"))
    | Q(market__exchange__name__icontains=Given("q")),
}
UNSHOWN = ("params", "limits", "market__exchange__ccxt_config")
# (sort name, label, class of its cells)
COLUMNS = (
    ("name", "Bot", ""), ("status", "State", ""), ("market", "Market", "wide"), ("kind", "Kind", "wide"),
    ("mode", "Mode", "wide"), ("pnl", "PnL", "num"), ("", "PnL %", "num wide"), ("", "Drawdown 7 d", "num wide"),
    ("equity", "Equity", "num wide"), ("trades", "Trades", "num wide"), ("", "7 d", "wide"),
)  # fmt: skip


@require_GET
@varies
@kept("bots")
def bots(request: HttpRequest) -> HttpResponse:
    """The owner's bots, filtered, sorted and paged by the address."""
    now = timezone.now()
    found = figures.facets(request.user)
    chosen = _filters(request.GET)
    sort = parameters.choice(request.GET, "sort", [sign + name for name in SORTS for sign in ("", "-")], DEFAULT_SORT)
    filters = tuple(name for name, value in chosen.items() if value)
    shown = numbered(
        request.GET,
        parameters.whole(request.GET, "size", PAGE_SIZE, 10, MOST),
        lambda start, stop: _listed(filters, sort, start, stop).rows(owner=request.user.pk, **chosen),
    )
    lately = figures.lately([bot.pk for bot in shown.rows], now)
    context: dict[str, Any] = {
        "nav": "bots",
        "page": shown,
        "bots": [rows.bot_row(bot, lately.get(bot.pk), now) for bot in shown.rows],
        "sort": sort,
        "columns": COLUMNS,
        "actions": list(ACTIONS.values()),
        "modes": [mode for mode in Mode.values if mode != Mode.REPLAY],
        "chosen": chosen,
        "filtered": any(chosen.values()),
        "total": found.statuses.total(),
        "statuses": [(status, found.statuses[status]) for status in Bot.Status.values],
        "kinds": [(kind, rows.kind_label(kind)) for kind in found.kinds],
        "markets": found.markets,
        "simulated": any(bot.account.mode == "paper" for bot in shown.rows),
    }
    return render(request, "dashboard/_bots_live.html" if wants_fragment(request) else "dashboard/bots.html", context)


def _filters(query: QueryDict) -> dict[str, Any]:
    return {
        "status": parameters.choice(query, "status", Bot.Status.values, ""),
        "kind": parameters.text(query, "kind", 30),
        "mode": parameters.choice(query, "mode", Mode.values, ""),
        "market": parameters.whole(query, "market", 0, 0, 2**31 - 1),
        "q": parameters.text(query, "q"),
    }


@lru_cache(maxsize=500)
def _listed(filters: tuple[str, ...], sort: str, start: int, stop: int) -> Prepared[Bot]:
    """A part of the list; figures are added up for its bots alone, unless the list is sorted by them."""

    def build() -> QuerySet[Bot]:
        listed: QuerySet[Bot] = Bot.objects.owned_by(Given("owner")).filter(*(FILTERS[name] for name in filters))
        if sort.lstrip("-") in FIGURES:
            listed = figures.with_figures(listed)
        ids = figures.sorted_by(listed, SORTS, sort).values("pk")[start:stop]
        shown = figures.with_figures(Bot.objects.filter(pk__in=ids))
        return figures.sorted_by(shown, SORTS, sort).defer(*UNSHOWN)

    return Prepared(build)
