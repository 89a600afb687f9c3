from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from bots.models import Bot
from dashboard import candle_window, charts, figures, formats, market_rows, parameters, quote_rows, rows, watchlist
from dashboard.indicators import known
from dashboard.paging import page
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept
from markets import gaps
from markets.models import Market
from markets.series import TIMEFRAME_NAMES, TIMEFRAMES
from markets.services import quotes

PAGE_SIZE = 50
MOST_CANDLES = 2_000
USUAL_CANDLES = 500
TABLE_CANDLES = 100
SORTS = {"symbol": "symbol", "last": "last", "change": "change_24h", "volume": "quote_volume_24h", "bots": "own_bots"}
DEFAULT_SORT = "-volume"


@require_GET
@varies
@kept("markets")
def markets(request: HttpRequest) -> HttpResponse:
    """Every market there is, with its price and how far its candles are."""
    now = timezone.now()
    words = parameters.text(request.GET, "q")
    found = figures.markets_with_bots(request.user).defer("quotes__bids", "quotes__asks")
    if words:
        found = found.filter(Q(symbol__icontains=words) | Q(exchange__name__icontains=words))
    only_watched = request.GET.get("watched") == "1"
    if only_watched:
        found = found.filter(watched=True)
    sort = parameters.choice(request.GET, "sort", [sign + name for name in SORTS for sign in ("", "-")], DEFAULT_SORT)
    shown = page(request.GET, figures.sorted_by(found, SORTS, sort), PAGE_SIZE)
    quotes.ask_listed(shown.rows)
    context = {
        "nav": "markets",
        "page": shown,
        "markets": [market_rows.market_row(market, now) for market in shown.rows],
        "sort": sort,
        "q": words,
        "only_watched": only_watched,
        "simulated": any(market.exchange.is_simulated for market in shown.rows),
    }
    template = "dashboard/_markets_live.html" if wants_fragment(request) else "dashboard/markets.html"
    return render(request, template, context)


@require_POST
def watch(request: HttpRequest, market_id: int) -> HttpResponse:
    """A market is put on the visitor's watchlist (watched=1) or taken off it; the answer is its star, or the list."""
    market = get_object_or_404(Market, pk=market_id)
    wanted = request.POST.get("watched") == "1"
    watchlist.watch(request.user, market, wanted)
    if wants_fragment(request):
        return render(request, "dashboard/_star.html", {"market": market, "watched": wanted})
    query = QueryDict(request.POST.get("back", "").replace("\0", "")[:500].lstrip("?"))
    return redirect(f"{reverse('markets')}?{query.urlencode()}")


@require_GET
@varies
def market(request: HttpRequest, market_id: int) -> HttpResponse:
    """One market: chart with indicators, order book, funding, feeds, and the visitor's own bots on it."""
    # Before the page is looked for among those that are kept: whoever reads one wants its quotes to go on.
    quotes.ask(market_id)
    return _market(request, market_id=market_id)


@kept("market")
def _market(request: HttpRequest, market_id: int) -> HttpResponse:
    now = timezone.now()
    market = get_object_or_404(figures.markets_with_bots(request.user), pk=market_id)
    bots = figures.with_figures(Bot.objects.owned_by(request.user).filter(market=market)).order_by("-created_at")
    shown = list(bots[:20])
    feeds = list(market.feeds.all())
    notices = list(market.notices.lasting())
    declared = gaps.summaries(market.pk)
    context: dict[str, Any] = {
        "nav": "markets",
        "market": market,
        "row": market_rows.market_row(market, now),
        **quote_rows.quoted(market, now),
        "facts": market_rows.market_facts(market),
        "feeds": [market_rows.feed_row(feed, notices, declared.get(feed.timeframe), now) for feed in feeds],
        "bots": [rows.bot_row(bot, None, now) for bot in shown],
        "chart": chart_settings(market, feeds[0].timeframe if feeds else 60, request),
        "simulated": market.exchange.is_simulated or any(bot.account.mode == "paper" for bot in shown),
        "live_topics": f"market:{market.pk} user:{request.user.pk}",
    }
    template = "dashboard/_market_live.html" if wants_fragment(request) else "dashboard/market.html"
    return render(request, template, context)


def chart_settings(market: Market, timeframe: int, request: HttpRequest) -> dict[str, Any]:
    """What candles.js needs to begin: addresses, timeframe, digits, and the indicators on offer.

    The market comes with its feeds prefetched.
    """
    offered = candle_window.offered(stored_timeframes(market))
    usual = TIMEFRAME_NAMES.get(timeframe, "1m")
    return {
        "url": reverse("market-chart", args=[market.pk]),
        "timeframe": parameters.choice(request.GET, "timeframe", offered, usual),
        "timeframes": offered,
        "digits": formats.decimals(market.tick),
        "tick": float(market.tick),
        "base": market.base,
        "quote": market.quote,
        "symbol": market.symbol,
        "market": market.pk,
        "indicators": known(),
    }


def stored_timeframes(market: Market) -> list[int]:
    return [feed.timeframe for feed in market.feeds.all()]


@require_GET
def market_chart_json(request: HttpRequest, market_id: int) -> HttpResponse:
    """Columns of candles and of the indicators asked for, the last `limit` in [after, before).

    ?timeframe=1m&before=MS&after=MS&limit=500&indicators=sma,rsi. Times in the answer are seconds UTC. Candles of a
    market and timeframe are everybody's, so the answer holds nothing of the visitor's own.
    """
    market = get_object_or_404(Market.objects.only("pk").prefetch_related("feeds"), pk=market_id)
    timeframe = TIMEFRAMES.get(request.GET.get("timeframe", "1m"))
    if timeframe is None:
        return JsonResponse({"error": f"timeframe must be one of {', '.join(TIMEFRAMES)}."}, status=400)
    limit = parameters.whole(request.GET, "limit", USUAL_CANDLES, 1, MOST_CANDLES)
    before, after = (parameters.moment(request.GET, name) for name in ("before", "after"))
    wanted = request.GET.get("indicators", "").split(",")
    names = [name for name in known() if name in wanted]
    window = candle_window.Window(timeframe, limit, before, after)
    loaded, indicators = candle_window.with_indicators(market, stored_timeframes(market), window, names)
    return JsonResponse(
        {
            "timeframe": timeframe,
            "candles": charts.candle_columns(loaded),
            "indicators": indicators,
        }
    )


@require_GET
def market_candles(request: HttpRequest, market_id: int) -> HttpResponse:
    """The chart as a table, newest candle first, for readers without sight or script."""
    market = get_object_or_404(Market.objects.select_related("exchange").prefetch_related("feeds"), pk=market_id)
    stored = stored_timeframes(market)
    offered = candle_window.offered(stored)
    timeframe = parameters.choice(request.GET, "timeframe", offered, TIMEFRAME_NAMES.get(min(stored, default=60), "1m"))
    before = parameters.moment(request.GET, "before")
    loaded = candle_window.load(market.pk, TIMEFRAMES[timeframe], stored, before, TABLE_CANDLES)
    context = {
        "nav": "markets",
        "market": market,
        "candles": market_rows.candle_rows(loaded, market),
        "timeframe": timeframe,
        "timeframes": offered,
        "before": before,
        "older": int(loaded.time[0]) if len(loaded) == TABLE_CANDLES else None,
        "simulated": market.exchange.is_simulated,
    }
    return render(request, "dashboard/candles.html", context)
