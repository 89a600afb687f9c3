"""The curves of the charts as tables, for readers without sight or script: as many rows as a page may be long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from bots import backtests
from bots.models import Backtest, Bot
from dashboard import books, formats, parameters, performance
from dashboard.bot_curve import bot_curve
from dashboard.figures import PERIODS

ROWS = 400
Columns = list[tuple[str, Sequence[str]]]
OVERVIEW_PERIODS = PERIODS | performance.PERIODS


@require_GET
def equity(request: HttpRequest) -> HttpResponse:
    """The curve of the overview and of the performance page."""
    period = parameters.choice(request.GET, "period", OVERVIEW_PERIODS, "7d")
    days = OVERVIEW_PERIODS[period]
    found = books.curve(request.user, parameters.text(request.GET, "book"), days, timezone.now())
    columns: Columns = [
        ("Equity", _money(found.equity, found.currency)),
        ("PnL", [formats.money_change(value, found.currency) for value in found.pnl]),
        ("Under its height", _money(found.drawdown, found.currency)),
    ]
    about = {"nav": "overview", "title": "Equity", "back": "/", "unit": found.currency, "period": period}
    return _page(request, about | {"periods": list(PERIODS)}, found.time, columns)


@require_GET
def bot_equity(request: HttpRequest, bot_id: int) -> HttpResponse:
    bot = get_object_or_404(Bot.objects.owned_by(request.user).select_related("market"), pk=bot_id)
    period = parameters.choice(request.GET, "period", PERIODS, "7d")
    days, now = PERIODS[period], timezone.now()
    curve = bot_curve(bot, None if days is None else now - timedelta(days=days), now)
    kept = _spread(len(curve.time))
    values = [curve.equity[at] for at in kept]
    columns: Columns = [
        ("Equity", _money(values, bot.market.quote)),
        ("Since the period began", [formats.money_change(value - curve.base, bot.market.quote) for value in values]),
    ]
    about = {"nav": "bots", "title": f"Equity of {bot.name}", "back": bot.get_absolute_url(), "unit": bot.market.quote}
    chosen = {"period": period, "periods": list(PERIODS)}
    return _page(request, about | chosen, [curve.time[at] for at in kept], columns)


@require_GET
def backtest_curve(request: HttpRequest, backtest_id: int) -> HttpResponse:
    own = Backtest.objects.owned_by(request.user).select_related("market")
    found = get_object_or_404(own, pk=backtest_id)
    curve, quote = backtests.unpacked(found), found.market.quote
    kept = _spread(len(curve["time"]))
    time, worth, close, fall = (curve[name][kept] for name in ("time", "equity", "close", "fall"))
    held = float(found.allocation) * close / curve["close"][0] if len(close) else close
    columns: Columns = [
        ("Equity", _money(worth.tolist(), quote)),
        ("Held instead", _money(held.tolist(), quote)),
        ("Under its height", [formats.percent(value) for value in fall.tolist()]),
    ]
    about = {"nav": "backtests", "title": f"Equity of backtest {found.pk}", "back": found.get_absolute_url()}
    return _page(request, about | {"unit": quote}, (time // 1000).tolist(), columns)


def _spread(count: int) -> list[int]:
    """Places of at most ROWS of so many points, the first and the last among them."""
    kept: list[int] = np.unique(np.linspace(0, count - 1, min(count, ROWS)).astype(np.int64)).tolist()
    return kept


def _money(values: Sequence[float], currency: str) -> list[str]:
    return [formats.money(value, currency) for value in values]


def _page(request: HttpRequest, about: Mapping[str, Any], time: Sequence[float], columns: Columns) -> HttpResponse:
    """time: seconds UTC; columns: heading and texts each. The newest row is the first."""
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" for at in time]
    rows = list(zip(moments, *(texts for _, texts in columns), strict=True))[::-1]
    return render(request, "dashboard/curve.html", {**about, "headings": [name for name, _ in columns], "rows": rows})
