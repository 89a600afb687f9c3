from __future__ import annotations

import csv
from datetime import date, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from dashboard import parameters, performance_rows, rows, standings
from dashboard import performance as performances
from dashboard.performance import PERIODS
from dashboard.standings import Standing
from dashboard.views import currency
from dashboard.views.fragments import varies

USUAL = "30d"
GROUPS = {
    "bot": ("Bot", lambda one: (one.bot, one.name)),
    "market": ("Market", lambda one: (one.market, one.symbol)),
    "kind": ("Kind", lambda one: (one.kind, rows.kind_label(one.kind))),
}
DAYS_SHOWN = 62


@require_GET
@varies
def performance(request: HttpRequest) -> HttpResponse:
    """How one book did in a period: figures, days, months, and where the profit came from."""
    now = timezone.now()
    period = _period(request)
    found, keys, key = _asked(request, performances.begin(period, now))
    context: dict[str, Any] = {"nav": "performance", "book": key, "simulated": key.startswith("paper:")}
    if not key:
        return render(request, "dashboard/performance.html", context)
    mode, currency = performances.book_of(key)
    standing = performances.standing_now(found, key)
    did = performances.performance(request.user, key, period, standing, now)
    by = parameters.choice(request.GET, "by", GROUPS, "bot")
    own = [one for one in found if (one.mode, one.currency) == (mode, currency)]
    context |= {
        "books": [(one, _label(one)) for one in keys],
        "currency": currency,
        "periods": list(PERIODS),
        "period": period,
        "totals": performance_rows.totals(did, standing, currency),
        "sections": performance_rows.sections(did.figures, currency),
        "heat": performance_rows.month_heat(did.months),
        "calendar": performance_rows.calendar(did.days, _month(request, now), currency),
        "by": by,
        "groups": [(name, label) for name, (label, _) in GROUPS.items()],
        "shares": performance_rows.group_rows(standings.grouped(own, GROUPS[by][1]), currency),
        "days": performance_rows.day_rows(did.shown[: -DAYS_SHOWN - 1 : -1], currency),
        "days_count": len(did.shown),
        "live_topics": f"user:{request.user.pk}",
    }
    return render(request, "dashboard/performance.html", context)


@require_GET
@varies
def correlation(request: HttpRequest) -> HttpResponse:
    """How alike the days of the largest bots were. A page of its own, which the other one loads when it is seen."""
    now = timezone.now()
    found, _, key = _asked(request, None)
    book = performances.book_of(key)
    own = [one for one in found if (one.mode, one.currency) == book and one.equity > 0]
    largest = standings.grouped(own, GROUPS["bot"][1])
    largest = sorted(largest, key=lambda one: (-one.allocation, one.key))[: standings.CORRELATED]
    matrix = standings.correlations(request.user, book, [one.key for one in largest], now)
    context = {
        "nav": "performance",
        "book": key,
        "matrix": performance_rows.correlation_rows(largest, matrix),
        "names": [one.label for one in largest],
        "any": any(value is not None for values in matrix for value in values),
        "least": standings.LEAST_DAYS,
        "most": standings.CORRELATION_DAYS,
    }
    fragment = "HX-Request" in request.headers
    return render(request, f"dashboard/{'_' if fragment else ''}correlation.html", context)


@require_GET
def days_csv(request: HttpRequest) -> HttpResponse:
    """The days of a book and period, oldest first: numbers as they are."""
    now = timezone.now()
    found, _, key = _asked(request, None)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="performance-{now:%Y-%m-%d}.csv"'
    response["Cache-Control"] = "private, no-store"
    table = csv.writer(response)
    table.writerow(["day", "pnl", "return", "equity", "trades", "fees"])
    if key:
        standing = performances.standing_now(found, key)
        for one in performances.performance(request.user, key, _period(request), standing, now).shown:
            traded = (one.traded.trades, one.traded.fees) if one.traded else (0, 0.0)
            table.writerow([one.day.isoformat(), one.gained, one.rate, one.equity, *traded])
    return response


def _asked(request: HttpRequest, since: datetime | None) -> tuple[list[Standing], list[str], str]:
    """Standings, the books there are, and the one asked for: the first where it is none of them, "" without any."""
    found = standings.standings(request.user, since)
    keys = currency.first(request, standings.keys(found))
    return found, keys, parameters.choice(request.GET, "book", keys, keys[0] if keys else "")


def _period(request: HttpRequest) -> str:
    return parameters.choice(request.GET, "period", PERIODS, USUAL)


def _month(request: HttpRequest, now: datetime) -> date:
    """The month asked for as 2026-11, else this one: its first day."""
    try:
        found = date.fromisoformat(parameters.text(request.GET, "month", 7) + "-01")
    except ValueError:
        found = now.date()
    return min(max(found, date(1971, 1, 1)), now.date()).replace(day=1)


def _label(key: str) -> str:
    mode, currency = performances.book_of(key)
    return f"{mode.capitalize()} {currency}"
