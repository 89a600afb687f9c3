from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from bots import limits, why
from bots.kinds import KINDS
from bots.kinds.margin import liquidation_price
from bots.models import Bot, Order, Position, Run
from dashboard import charts, figures, formats, parameters, row_columns, rows
from dashboard.bot_curve import bot_curve
from dashboard.changes import change_rows
from dashboard.figures import PERIODS
from dashboard.paging import Page, numbered, page
from dashboard.views.bot_actions import actions_for
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept
from dashboard.views.markets import chart_settings
from dashboard.views.owned import owned_bot
from markets.series import TIMEFRAMES
from orchestrator.prepared import Given, Prepared

TABS = {"trades": "Trades", "orders": "Open orders", "log": "Event log", "runs": "Runs", "changes": "Changes"}
PAGE_SIZE = 25
LATEST_EVENTS = 12  # shown
TOLD = 100  # read, for the answer why it does not trade
# A grid has at most a few hundred orders; the chart shows no more lines than that.
MOST_ORDERS = 400
MOST_TRADES = 2_000
EQUITY_POINTS = 1_000
# The binary engine state stays in the database: no page shows it.
_RUNS = Prepared(
    lambda: Run.objects.filter(bot=Given("bot")).select_related("market").defer("state", "orders").order_by("-number")
)
_POSITIONS = Prepared(lambda: row_columns.positions().filter(bot=Given("bot"), status=Position.Status.OPEN))
_EVENTS = Prepared(lambda: row_columns.events().filter(bot=Given("bot")).order_by("-id"))
_TRADES = Prepared(lambda: row_columns.trades().filter(bot=Given("bot")).order_by("-time", "-id"))


@require_GET
@varies
@kept("bot")
def bot(request: HttpRequest, bot_id: int) -> HttpResponse:
    """One bot: chart, position, orders, trades, and why it did what it did."""
    now = timezone.now()
    bot = owned_bot(request, bot_id)
    run = next(iter(_RUNS.between(0, 1, bot=bot.pk)), None)
    tab = parameters.choice(request.GET, "tab", TABS, "trades")
    events = _EVENTS.between(0, TOLD, bot=bot.pk)
    context: dict[str, Any] = {
        "nav": "bots",
        "bot": bot,
        "why": why.answer(bot, run, events, now),
        "row": rows.bot_row(bot, None, now),
        "actions": actions_for(bot.status),
        "figures": _run_figures(bot, run, now),
        "position": next((rows.position_row(one, now) for one in _POSITIONS.between(0, 1, bot=bot.pk)), None),
        "liquidation": _liquidation(bot, run),
        "events": rows.event_rows(events[:LATEST_EVENTS], now),
        "parameters": rows.parameter_rows(bot.kind, _in_force(bot, run).params, bot.market),
        "limits": rows.limit_rows(_in_force(bot, run).limits, bot.market),
        "tab": tab,
        "tabs": list(TABS.items()),
        **_tab(request, bot, tab, now),
        "simulated": bot.account.mode == "paper" or bot.market.exchange.is_simulated,
        "chart": chart_settings(bot.market, bot.timeframe, request),
        "periods": list(PERIODS),
        "period": parameters.choice(request.GET, "period", PERIODS, "7d"),
        "live_topics": f"user:{bot.owner_id}/bot:{bot.pk} market:{bot.market_id}",
    }
    return render(request, "dashboard/_bot_live.html" if wants_fragment(request) else "dashboard/bot.html", context)


def _liquidation(bot: Any, run: Run | None) -> str:
    """Where the exchange would take the position over; nothing on spot, and for a long that is paid for in full."""
    if run is None or bot.market.type != "swap":
        return ""
    price = liquidation_price(float(run.cash), float(run.position), run.terms.get("maintenance", 0.0))
    return "" if price is None else formats.price(Decimal(repr(price)), bot.market.tick)


def _paid(run: Run, currency: str) -> str:
    """What was paid beside the prices of the trades."""
    fees = f"{formats.money(run.fees, currency)} fees paid"
    if not run.funding:
        return fees
    verb = "paid" if run.funding > 0 else "received"
    return f"{fees}, {formats.money(abs(run.funding), currency)} funding {verb}"


def _free(bot: Any, run: Run) -> dict[str, Any]:
    """What can still be spent; on a swap what no margin is held for."""
    currency = bot.market.quote
    if bot.market.type != "swap":
        return {"label": "Free cash", "value": formats.money(run.cash, currency), "note": currency}
    leverage = limits.leverage_of(KINDS.get(run.kind), run.params)
    margin = abs(float(run.position)) * (bot.market.last or run.last_price or 0.0) / leverage
    return {
        "label": "Free margin",
        "value": formats.money(float(run.equity) - margin, currency),
        "note": f"{formats.money(margin, currency)} held at {leverage:g}×",
        "hint": "Equity less the margin of the position; entries that wait need margin too.",
    }


def _run_figures(bot: Any, run: Run | None, now: datetime) -> list[dict[str, Any]]:
    """The strip at the top: label, value and a hint each."""
    currency = bot.market.quote
    figures_: list[dict[str, Any]] = [
        {
            "label": "PnL",
            "value": formats.money_change(bot.pnl, currency),
            "note": formats.percent_change(formats.share(bot.pnl, bot.given or bot.allocation)),
            "hint": "Equity less allocation, over all runs in this mode and currency; open position at the last price.",
        },
        {"label": "Equity", "value": formats.money(bot.equity_now, currency), "note": f"of {_allocation(bot)}"},
    ]
    if run is None or (run.mode, run.market.quote) != (bot.account.mode, currency):
        return figures_
    return [
        *figures_,
        {
            "label": "Net realized",
            "value": formats.money_change(run.realized - run.fees, currency),
            "note": _paid(run, currency),
            "hint": "Locked in by this run's trades, less their fees. Funding is apart.",
        },
        _free(bot, run),
        {
            "label": "Trades",
            "value": formats.number(bot.trades_count, 0),
            "note": f"{bot.open_orders} order{'s' * (bot.open_orders != 1)} open",
        },
        {
            "label": "Running for" if run.stopped_at is None else "Ran for",
            "value": formats.duration((run.stopped_at or now) - run.started_at),
            "note": f"run {run.number}",
        },
    ]


def _in_force(bot: Bot, run: Run | None) -> Bot | Run:
    """Whose parameters and limits hold: the run's while it is alive, else the bot's, for its next one."""
    return run if run is not None and run.status != Run.Status.STOPPED else bot


def _allocation(bot: Bot) -> str:
    return f"{formats.money(bot.allocation, bot.market.quote)} {bot.market.quote}"


def _tab(request: HttpRequest, bot: Any, tab: str, now: datetime) -> dict[str, Any]:
    """Rows of the open tab alone: the closed ones cost nothing."""
    shown: Page
    if tab == "orders":
        orders = Order.objects.filter(bot=bot, status=Order.Status.OPEN).order_by("-price")
        shown = page(request.GET, orders, MOST_ORDERS)
        return {"page": shown, "orders": rows.order_rows(shown.rows, bot.market, now)}
    if tab == "log":
        shown = numbered(request.GET, PAGE_SIZE, partial(_EVENTS.between, bot=bot.pk))
        return {"page": shown, "log": rows.event_rows(shown.rows, now)}
    if tab == "runs":
        shown = numbered(request.GET, PAGE_SIZE, partial(_RUNS.between, bot=bot.pk))
        return {"page": shown, "runs": rows.run_rows(shown.rows, now)}
    if tab == "changes":
        shown = page(request.GET, bot.changes.order_by("-id"), PAGE_SIZE)
        return {"page": shown, "changes": change_rows(shown.rows, now)}
    shown = numbered(request.GET, PAGE_SIZE, partial(_TRADES.between, bot=bot.pk))
    return {"page": shown, "trades": rows.trade_rows(shown.rows, now)}


@require_GET
def bot_chart_json(request: HttpRequest, bot_id: int) -> HttpResponse:
    """What the bot adds to its market's candles: open orders, trades per candle, and the position's average price.

    ?timeframe= name; ?from= and ?to= ms UTC bound the trades. Times in the answer are seconds UTC.
    """
    bot = get_object_or_404(Bot.objects.owned_by(request.user), pk=bot_id)
    timeframe = TIMEFRAMES[parameters.choice(request.GET, "timeframe", TIMEFRAMES, "1m")]
    orders = Order.objects.filter(bot=bot, status=Order.Status.OPEN, price__isnull=False).order_by("price")
    columns = list(zip(*orders.values_list("side", "price", "amount")[:MOST_ORDERS], strict=True)) or [(), (), ()]
    average = Position.objects.filter(bot=bot, status=Position.Status.OPEN).values_list("average_price", flat=True)
    start = formats.from_ms(parameters.moment(request.GET, "from"))
    end = formats.from_ms(parameters.moment(request.GET, "to"))
    trades = figures.trades_between(bot, start, end, MOST_TRADES)
    return JsonResponse(
        {
            "orders": {
                "side": list(columns[0]),
                "price": [float(price) for price in columns[1]],
                "amount": [float(amount) for amount in columns[2]],
            },
            "trades": charts.markers(
                (
                    (int(time.timestamp() * 1000), side, float(price), float(amount))
                    for time, side, price, amount in trades
                ),
                timeframe,
            ),
            "average_price": next((float(price) for price in average[:1]), None),
        }
    )


@require_GET
def bot_equity_json(request: HttpRequest, bot_id: int) -> HttpResponse:
    """Columns of the bot's equity: time in seconds UTC, equity in quote; at most EQUITY_POINTS points.

    base is what the gain of ?period= is measured from, see bot_curve(). ?from= and ?to= ms UTC: a part of the period.
    """
    bot = get_object_or_404(Bot.objects.owned_by(request.user).select_related("market"), pk=bot_id)
    days = PERIODS[parameters.choice(request.GET, "period", PERIODS, "7d")]
    now = timezone.now()
    curve = bot_curve(bot, None if days is None else now - timedelta(days=days), now)
    part = curve.part(*parameters.stretch(request.GET))
    time, equity = charts.downsample(curve.time[part], curve.equity[part], EQUITY_POINTS)
    return JsonResponse(
        {
            "time": [int(at) for at in time],
            "equity": equity,
            "base": curve.base,
            "most": EQUITY_POINTS,
            "currency": bot.market.quote,
            "digits": formats.money_digits(bot.market.quote),
        }
    )
