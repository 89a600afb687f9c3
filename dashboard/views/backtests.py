from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from bots import backtests as store
from bots import services, tasks
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Backtest
from dashboard import backtest_rows, charts, formats, parameters, preview, rows
from dashboard.forms import ALL, BacktestForm, accounts_of, backtest_form_for
from dashboard.paging import page
from dashboard.views import bot_form
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept
from dashboard.views.markets import chart_settings
from markets.series import TIMEFRAMES

PAGE_SIZE = 50
MOST_SETS = 200  # rows of a grid
MOST_COMPARED = 6
MOST_TRADES = 2_000
LONGEST_ID = 10  # digits


@require_GET
@varies
@kept("backtests")
def backtests(request: HttpRequest) -> HttpResponse:
    """The visitor's backtests, newest first."""
    shown = page(request.GET, Backtest.objects.owned_by(request.user).listed(), PAGE_SIZE)
    now = timezone.now()
    context = {"nav": "backtests", "page": shown, "backtests": backtest_rows.backtest_rows(shown.rows, now)}
    return render(request, "dashboard/backtests.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def new_backtest(request: HttpRequest) -> HttpResponse:
    """The form of a kind, of one set of parameters or a grid of them; POST starts it, or leads to the same one."""
    kind = KINDS.get(request.GET.get("kind", ""))
    accounts = list(accounts_of(request.user))
    markets = bot_form.offered_markets(accounts, parameters.whole(request.GET, "market", 0, 0, 2**31 - 1), kind)
    if kind is None or not markets:
        return bot_form.choose_kind(request, markets, "New backtest", nav="backtests")
    posted = request.method == "POST"
    typed = bot_form.posted(request) if posted else bot_form.typed_or_suggested(request, kind, accounts, markets)
    form = backtest_form_for(kind.slug)(typed, owner=request.user, trying=True)
    if wants_fragment(request) and not posted:
        return bot_form.render_preview(request, form)
    if posted and form.is_valid() and (started := _started(request, form)):
        return redirect(started)
    context = bot_form.form_context(request, form, markets) | {
        "nav": "backtests",
        "heading": f"New {kind.label} backtest",
        "kind": kind,
        "kinds": list(KINDS.values()),
        "is_backtest": True,
    }
    return render(request, "dashboard/bot_form.html", context)


def _started(request: HttpRequest, form: BacktestForm) -> Backtest | None:
    """The backtest that was asked for; None when it is refused, with the reason at its field."""
    data, bot = form.cleaned_data, form.instance
    days = None if data["days"] == ALL else int(data["days"])
    try:
        found, new = store.ask(
            request.user, bot.kind, bot.params, bot.limits, data["market"], data["timeframe"], data["allocation"],
            days, data["grid"],
        )  # fmt: skip
    except services.Refused as refusal:
        form.add_error(None, str(refusal))
    except ParamsError as error:
        for name, sentence in error.problems.items():
            form.add_error("grid" if data["grid"] else None, sentence if sentence else name)
    else:
        if new:
            tasks.wake_for_backtests()
        else:
            messages.info(request, "The same backtest of the same candles was asked for before: here it is.")
        return found
    return None


@require_GET
@varies
def backtest(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """What came of it: figures, bounds, curve, trades; of a grid its best sets and a heat map over two parameters."""
    found = _own(request, backtest_id)
    names = list(found.grid)
    across = parameters.choice(request.GET, "across", names, names[0] if names else "")
    others = [name for name in names if name != across]
    down = parameters.choice(request.GET, "down", others, others[0] if others else "")
    limited = rows.limit_rows(found.limits, found.market)
    context: dict[str, Any] = {
        "nav": "backtests",
        "backtest": found,
        "row": backtest_rows.backtest_row(found, timezone.now()),
        "holes": backtest_rows.holes(found),
        "figures": backtest_rows.figures(found) if found.metrics else [],
        "parameters": rows.parameter_rows(found.kind, found.params, found.market) + limited,
        "allocation": f"{formats.money(found.allocation, found.market.quote)} {found.market.quote}",
        "sets": backtest_rows.set_rows(found, MOST_SETS),
        "labels": backtest_rows.labels(found),
        "across": across,
        "down": down,
        "heat": backtest_rows.heat(found, across, down),
        "is_open": found.state in store.OPEN,
        "may_repeat": found.state in (Backtest.State.FAILED, Backtest.State.CANCELED),
        "chart": chart_settings(found.market, found.timeframe, request),
        "simulated": found.market.exchange.is_simulated,
    }
    template = "dashboard/_backtest_live.html" if wants_fragment(request) else "dashboard/backtest.html"
    return render(request, template, context)


def _own(request: HttpRequest, backtest_id: int) -> Backtest:
    own = Backtest.objects.owned_by(request.user).select_related("market__exchange").defer("curve", "trades")
    return get_object_or_404(own.prefetch_related("market__feeds"), pk=backtest_id)


@require_GET
def backtest_chart_json(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Columns of the curve, of buying and holding, the fall from the peak; trades per candle of ?timeframe=."""
    own = Backtest.objects.owned_by(request.user).select_related("market")
    found = get_object_or_404(own, pk=backtest_id)
    timeframe = TIMEFRAMES[parameters.choice(request.GET, "timeframe", TIMEFRAMES, "1m")]
    return JsonResponse(_curve(found) | {"trades": preview.marks(store.trades_of(found)[-MOST_TRADES:], timeframe)})


def _curve(found: Backtest) -> dict[str, Any]:
    columns, capital = store.unpacked(found), float(found.allocation)
    held = capital * columns["close"] / columns["close"][0] if len(columns["close"]) else columns["close"]
    return {
        "time": charts.seconds(columns["time"].astype("int64")),
        "equity": columns["equity"].tolist(),
        "held": held.tolist(),
        "fall": columns["fall"].tolist(),
        "base": capital,
        "currency": found.market.quote,
        "digits": formats.money_digits(found.market.quote),
        "name": f"#{found.pk} {rows.kind_label(found.kind)} {found.market.symbol}",
    }


@require_GET
@varies
def compare(request: HttpRequest) -> HttpResponse:
    """Figures of several backtests side by side: ?id=1&id=2."""
    sent = (one for one in request.GET.getlist("id")[:MOST_COMPARED] if len(one) <= LONGEST_ID)
    wanted = [int(one) for one in sent if one.isascii() and one.isdigit()]
    own = Backtest.objects.owned_by(request.user).filter(pk__in=[one for one in wanted if one < 2**31])
    found = list(own.filter(state=Backtest.State.DONE, grid={}).listed())
    columns = [backtest_rows.figures(one) for one in found]
    context = {
        "nav": "backtests",
        "backtests": backtest_rows.backtest_rows(found, timezone.now()),
        "lines": [(line[0][0], line[0][2], [text for _, text, _ in line]) for line in zip(*columns, strict=True)],
    }
    return render(request, "dashboard/compare.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """POST cancels it; both lead to its page."""
    found = _own(request, backtest_id)
    if request.method == "POST" and not store.cancel(found):
        messages.warning(request, "It is answered already.")
    return redirect(found)


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """POST queues one that failed or was cancelled once more; both lead to its page."""
    found = _own(request, backtest_id)
    if request.method != "POST":
        return redirect(found)
    if store.again(found):
        tasks.wake_for_backtests()
    else:
        messages.warning(request, f"It is {found.state}: there is nothing to repeat.")
    return redirect(found)


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def delete(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """GET says what will be gone and asks; POST deletes it."""
    found = _own(request, backtest_id)
    if request.method == "POST":
        store.delete(found)
        messages.success(request, f"Backtest {backtest_id} is deleted.")
        return redirect("backtests")
    template = "dashboard/_delete_backtest.html" if wants_fragment(request) else "dashboard/delete_backtest.html"
    return render(request, template, {"nav": "backtests", "backtest": found})
