"""The demonstration: a simulated exchange, and bots that have been trading on it since yesterday."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction

from bots import equity, runs, services, trade_days
from bots.models import Bot
from markets import candles as store
from markets.gateway import connect
from markets.models import Exchange, Feed, Market
from markets.precision import to_decimal
from markets.services import feeds as candle_feeds
from markets.services import listing, prices, sync_funding
from markets.simulated import new_config

USER = "demo"
MINUTE = 60
HISTORY_MS = 24 * 3_600_000
MONEY = Decimal(125_000)


class Entry(NamedTuple):
    """One bot. around: parameters that are prices, as multiples of the price at its start."""

    name: str
    symbol: str
    allocation: Decimal
    kind: str
    around: dict[str, float]
    params: dict[str, Any]


BOTS = (
    Entry("SOL grid", "SOL/USDT", Decimal(20_000), "grid", {"lower": 0.9, "upper": 1.1}, {"lines": 81}),
    Entry(
        "DOGE geometric",
        "DOGE/USDT",
        Decimal(15_000),
        "grid",
        {"lower": 0.85, "upper": 1.15},
        {"lines": 101, "spacing": "geometric"},
    ),
    Entry("BTC wide", "BTC/USDT", Decimal(25_000), "grid", {"lower": 0.92, "upper": 1.08}, {"lines": 81}),
    Entry("ETH infinity", "ETH/USDT", Decimal(15_000), "infinity_grid", {"lower": 0.8}, {"grid_profit": 0.3}),
    Entry(
        "XRP trailing",
        "XRP/USDT",
        Decimal(10_000),
        "trailing",
        {},
        {"start_with": "sell", "buy_distance": 0.4, "sell_activation": 1.0, "sell_distance": 0.4, "stop_loss": 3.0},
    ),
    Entry(
        "LINK DCA",
        "LINK/USDT",
        Decimal(10_000),
        "dca",
        {},
        {
            "base_order": 500,
            "safety_order": 500,
            "step": 0.8,
            "step_scale": 1.2,
            "volume_scale": 1.3,
            "take_profit": 0.9,
        },
    ),
    Entry(
        "ADA crossing",
        "ADA/USDT",
        Decimal(10_000),
        "signal",
        {},
        {
            "long_entry": "sma(10) crosses above sma(40) and rsi(14) < 75",
            "long_exit": "sma(10) crosses below sma(40)",
            "stop_loss": 1.5,
        },
    ),
    Entry(
        "SOL futures",
        "SOL/USDT:USDT",
        Decimal(10_000),
        "futures_grid",
        {"lower": 0.9, "upper": 1.1},
        {"lines": 61, "direction": "neutral", "leverage": 3},
    ),
)


def seed(password: str) -> None:
    """Fill an empty database. Interrupted and run again it goes on; people and bots come into being all at once."""
    exchange, _ = Exchange.objects.get_or_create(
        slug="simulated", defaults={"name": "Simulated", "ccxt_id": "simulated", "ccxt_config": new_config()}
    )
    listing.sync_markets(exchange)
    for market in exchange.markets.all():
        Feed.objects.get_or_create(market=market, timeframe=MINUTE)
    sync_funding()
    candle_feeds.sync()
    prices.refresh_tickers()
    since = connect(exchange).now_ms() - HISTORY_MS
    with transaction.atomic():
        owner = get_user_model().objects.create_superuser(USER, password=password)
        account = services.open_paper_account(owner, "Paper", exchange, {"USDT": MONEY})
        for entry in BOTS:
            market = exchange.markets.get(symbol=entry.symbol)
            bot = Bot.objects.create(
                owner=owner, account=account, market=market, name=entry.name, kind=entry.kind, timeframe=MINUTE,
                allocation=entry.allocation, params=_params(entry, market, since),
            )  # fmt: skip
            services.start(bot, since)
    runs.advance_due()
    equity.sum_up()
    trade_days.sum_up()


def _params(entry: Entry, market: Market, since: int) -> dict[str, Any]:
    price = float(store.load(market.pk, MINUTE, start=since)[:1].open[0])
    around = {name: float(to_decimal(price * part, market.tick)) for name, part in entry.around.items()}
    return around | entry.params
