"""The demonstration: a simulated exchange, and grid bots that have been trading on it since yesterday."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction

from bots import runs, services
from bots.models import Bot
from markets import candles as store
from markets.gateway import connect
from markets.models import Exchange, Feed, Market
from markets.precision import to_decimal
from markets.services import feeds as candle_feeds
from markets.services import listing, prices
from markets.simulated import new_config

USER = "demo"
MINUTE = 60
HISTORY_MS = 24 * 3_600_000
MONEY = Decimal(100_000)


class Grid(NamedTuple):
    """A grid around the price at its start. half_width: of the range, as a fraction of the price."""

    name: str
    symbol: str
    allocation: Decimal
    half_width: float
    lines: int
    spacing: str


GRIDS = (
    Grid("SOL grid", "SOL/USDT", Decimal(20_000), 0.10, 81, "arithmetic"),
    Grid("DOGE geometric", "DOGE/USDT", Decimal(15_000), 0.15, 101, "geometric"),
    Grid("BTC wide", "BTC/USDT", Decimal(25_000), 0.08, 81, "arithmetic"),
)


def seed(password: str) -> None:
    """Fill an empty database. Interrupted and run again it goes on; people and bots come into being all at once."""
    exchange, _ = Exchange.objects.get_or_create(
        slug="simulated", defaults={"name": "Simulated", "ccxt_id": "simulated", "ccxt_config": new_config()}
    )
    listing.sync_markets(exchange)
    for market in exchange.markets.all():
        Feed.objects.get_or_create(market=market, timeframe=MINUTE)
    candle_feeds.sync()
    prices.refresh_tickers()
    since = connect(exchange).now_ms() - HISTORY_MS
    with transaction.atomic():
        owner = get_user_model().objects.create_superuser(USER, password=password)
        account = services.open_paper_account(owner, "Paper", exchange, {"USDT": MONEY})
        for grid in GRIDS:
            market = exchange.markets.get(symbol=grid.symbol)
            bot = Bot.objects.create(
                owner=owner, account=account, market=market, name=grid.name, kind="grid", timeframe=MINUTE,
                allocation=grid.allocation, params=_params(grid, market, since),
            )  # fmt: skip
            services.start(bot, since)
    runs.advance_due()


def _params(grid: Grid, market: Market, since: int) -> dict[str, Any]:
    price = float(store.load(market.pk, MINUTE, start=since)[:1].open[0])
    lower, upper = (to_decimal(price * (1 + side * grid.half_width), market.tick) for side in (-1, 1))
    return {"lower": float(lower), "upper": float(upper), "lines": grid.lines, "spacing": grid.spacing}
