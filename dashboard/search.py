"""What a visitor may jump to by a few letters of its name: pages, the own bots, markets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Case, Q, Value, When
from django.db.models.functions import Concat
from django.urls import reverse

from bots.kinds import KINDS
from bots.models import Bot
from dashboard.scope import Owner
from markets.models import Market

MOST = 8  # of each sort
# Address -> what people may call it.
PAGES = {
    "overview": "Overview",
    "bots": "Bots",
    "new-bot": "New bot",
    "positions": "Positions",
    "trades": "Trades",
    "orders": "Orders",
    "activity": "Activity, decision log",
    "performance": "Performance, returns, drawdowns",
    "correlation": "Correlation between bots",
    "backtests": "Backtests",
    "new-backtest": "New backtest",
    "markets": "Markets",
    "halt": "Halt everything: kill switch",
    "settings": "Settings: time zone, theme, password",
    "accounts": "Accounts, balances",
    "channels": "Notification channels",
    "api-tokens": "API tokens",
    "api-reference": "API reference",
}
STAFF_PAGES = {"system": "System: requests, queries, workers, feeds", "admin:index": "Admin"}


class Place(NamedTuple):
    name: str
    note: str
    address: str
    state: str = ""


class Group(NamedTuple):
    title: str
    icon: str
    places: list[Place]


def places(owner: Owner, text: str) -> list[Group]:
    """What holds every word of the text, in groups of which none is empty, by 2 queries; without a word, the pages."""
    words = text.split()
    pages = Group("Pages", "layout-dashboard", _pages(owner.is_staff, words))
    if not words:
        return [pages]
    groups = [Group("Bots", "robot", _bots(owner, words)), Group("Markets", "chart-candle", _markets(words)), pages]
    return [group for group in groups if group.places]


def _pages(is_staff: bool, words: Iterable[str]) -> list[Place]:
    pages = PAGES | STAFF_PAGES if is_staff else PAGES
    return [
        Place(label, "", reverse(name))
        for name, label in pages.items()
        if all(word.lower() in label.lower() for word in words)
    ]


def _bots(owner: Owner, words: list[str]) -> list[Place]:
    bots = Bot.objects.owned_by(owner).annotate(pair=Concat("market__base", "market__quote")).select_related("market")
    found = bots.filter(_told(words, "name", "market__symbol", "pair", "kind")).order_by(_later("name", words), "name")
    return [
        Place(bot.name, f"{KINDS[bot.kind].label} · {bot.market.symbol}", bot.get_absolute_url(), bot.status)
        for bot in found[:MOST]
    ]


def _markets(words: list[str]) -> list[Place]:
    markets = Market.objects.filter(active=True).annotate(pair=Concat("base", "quote")).select_related("exchange")
    found = markets.filter(_told(words, "symbol", "pair", "exchange__name")).order_by(_later("symbol", words), "symbol")
    return [Place(market.symbol, market.exchange.name, reverse("market", args=[market.pk])) for market in found[:MOST]]


def _told(words: Iterable[str], *names: str) -> Q:
    """Each word in one of these columns: BTC/USDT is found as btcusdt, in column `pair`, too."""
    each = Q()
    for word in words:
        each &= Q(*[(f"{name}__icontains", word) for name in names], _connector=Q.OR)
    return each


def _later(name: str, words: list[str]) -> Case:
    """Orders those that begin with what was typed before those that hold it."""
    return Case(When(**{f"{name}__istartswith": words[0]}, then=Value(0)), default=Value(1))
