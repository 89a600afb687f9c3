from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard import books as money
from dashboard import figures, formats, overview_rows, parameters, performance, rows
from dashboard.books import Book
from dashboard.figures import PERIODS
from dashboard.scope import Owner
from dashboard.views import currency
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept

# The page of performance shows longer ones.
CURVE_PERIODS = PERIODS | performance.PERIODS
ATTENTION_DAYS = 7


@require_GET
@varies
@kept("overview")
def overview(request: HttpRequest) -> HttpResponse:
    """Everything the owner has, on one page: money, positions, trades, bots, and what needs a look."""
    now = timezone.now()
    owner: Owner = request.user
    books = money.books(owner, now)
    book = chosen_book(request, books)
    period = parameters.choice(request.GET, "period", PERIODS, "7d")
    bots = figures.first(owner)
    halts = figures.halts(owner)
    warnings = figures.needing_attention(owner, now - timedelta(days=ATTENTION_DAYS))
    context: dict[str, Any] = {
        "nav": "overview",
        "halts": [
            {"account": one.account, "since": formats.when(one.halted_at, now), "reason": one.reason} for one in halts
        ],
        # A halt of all is for a superuser to lift.
        "may_release": any(one.account or owner.is_superuser for one in halts),
        "books": [(one.key, f"{one.mode.capitalize()} {one.currency}") for one in books],
        "book": book,
        "totals": _totals(book) if book else [],
        "periods": list(PERIODS),
        "period": period,
        "bots": [rows.bot_row(bot, None, now) for bot in bots],
        "positions": [rows.position_row(position, now) for position in figures.open_positions(owner)],
        "trades": rows.trade_rows(figures.latest_trades(owner), now),
        "events": rows.told_rows(warnings, now),
        "shares": overview_rows.share_rows(book) if book else [],
        "exposure": overview_rows.exposure(book) if book else [],
        "movers": overview_rows.mover_rows(figures.movers(now - timedelta(days=1))),
        "simulated": any(one.mode == "paper" for one in books) or any(bot.account.mode == "paper" for bot in bots),
        "live_topics": f"user:{owner.pk}",
    }
    template = "dashboard/_overview_live.html" if wants_fragment(request) else "dashboard/overview.html"
    return render(request, template, context)


def chosen_book(request: HttpRequest, books: list[Book]) -> Book | None:
    own = {book.key: book for book in books}
    key = request.GET.get("book", "")
    return own.get(key) or next((own[one] for one in currency.first(request, own)), None)


def _totals(book: Book) -> list[dict[str, Any]]:
    """The strip of figures at the top, each with what it is measured against."""

    def total(label: str, value: float, base: float | None, hint: str) -> dict[str, Any]:
        return {
            "label": label,
            "value": formats.money_change(value, book.currency),
            "note": formats.percent_change(formats.share(value, base)) if base else "",
            "hint": hint,
        }

    base = book.allocation or None
    equity = {
        "label": f"Equity, {book.currency}",
        "value": formats.money(book.equity, book.currency),
        "note": f"of {formats.money(book.allocation, book.currency)} allotted",
        "hint": "What the running and paused bots are worth now, open positions at the last price.",
    }
    return [
        equity,
        total("Today", book.day, base, "Since midnight UTC, open positions at the last price; % of money allotted."),
        total("7 days", book.week, base, "Since 7 days ago; % of money allotted."),
        total("30 days", book.month, base, "Since 30 days ago; % of money allotted."),
        total("All time", book.pnl, base, "Equity less allocation, over every run there was; % of money allotted."),
    ]


@require_GET
def equity_json(request: HttpRequest) -> HttpResponse:
    """Columns of the owner's equity curve: time in seconds UTC; equity, pnl and drawdown in the book's currency.

    ?from= and ?to= ms UTC: a part of the ?period=, in as many points as the whole has at most.
    """
    days = CURVE_PERIODS[parameters.choice(request.GET, "period", CURVE_PERIODS, "7d")]
    stretch = parameters.stretch(request.GET)
    found = money.curve(request.user, parameters.text(request.GET, "book"), days, timezone.now(), stretch)
    digits = formats.money_digits(found.currency)
    return JsonResponse({**found._asdict(), "digits": digits, "most": money.CURVE_POINTS})
