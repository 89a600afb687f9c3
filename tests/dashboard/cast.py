"""Rows for the pages: an exchange with candles, and grid bots that have traded on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.contrib.auth import get_user_model
from django.utils import timezone

from bots.models import Account, Bot, EquitySnapshot, Event, Order, Position, Run, Trade
from markets import candles
from markets.models import Exchange, Feed, Market
from markets.series import Candles

PARAMS = {"lower": 90.0, "upper": 110.0, "lines": 20, "stop_loss": None}


def make_user(name, **options):
    return get_user_model().objects.create_user(name, password="correct horse", **options)


def make_market(symbol="BTC/USDT", minutes=300):
    """A market whose price swings between 95 and 105, with closed 1m candles up to the last full minute."""
    exchange, _ = Exchange.objects.get_or_create(slug="sim", defaults={"name": "Simulated", "ccxt_id": "simulated"})
    base, quote = symbol.split("/")
    market = Market.objects.create(
        exchange=exchange, symbol=symbol, base=base, quote=quote, tick=Decimal("0.01"), lot=Decimal("0.0001"),
        min_cost=5, last=101.25, last_at=timezone.now(), change_24h=0.0125, quote_volume_24h=1_234_567.0,
    )  # fmt: skip
    end = int(timezone.now().timestamp()) // 60 * 60_000
    time = end - 60_000 * np.arange(minutes, 0, -1, dtype=np.int64)
    close = np.round(100 + 5 * np.sin(np.arange(minutes) / 20), 2)
    open_ = np.r_[close[:1], close[:-1]]
    if minutes:
        high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
        candles.upsert(market.pk, 60, Candles(time, open_, high, low, close, np.full(minutes, 12.5)))
    Feed.objects.create(market=market, timeframe=60, synced_to=end - 60_000, checked_at=timezone.now())
    return market


def make_account(owner, market, mode="paper"):
    return Account.objects.get_or_create(owner=owner, name=mode, defaults={"exchange": market.exchange, "mode": mode})[
        0
    ]


def make_draft(owner, market, name="Draft grid"):
    return Bot.objects.create(
        owner=owner, account=make_account(owner, market), market=market, name=name, kind="grid",
        allocation=1000, params=PARAMS,
    )  # fmt: skip


def make_bot(owner, market, name="Swing grid", trades=4, orders=6, status="running", equity="1023.50", mode="paper"):
    """A bot with one run of two hours: trades, open orders, a position, equity by the minute, events."""
    now = timezone.now()
    bot = make_draft(owner, market, name)
    bot.account, bot.status, bot.reason = make_account(owner, market, mode), status, f"Because it is {status}."
    bot.save()
    run = Run.objects.create(
        bot=bot, market=market, number=1, mode=mode, kind="grid", timeframe=60, params=PARAMS, terms={},
        allocation=1000, bar_time=0, state=b"", orders=b"", cash=600, position=4, equity=Decimal(equity),
        realized=30, fees=2, trades_count=trades, last_price=101.25, started_at=now - timedelta(hours=2),
        status="stopped" if status in ("stopped", "failed") else status,
        stopped_at=now if status in ("stopped", "failed") else None,
    )  # fmt: skip
    common = {"run": run, "bot": bot, "market": market}
    Trade.objects.bulk_create(
        Trade(
            **common, number=n + 1, owner=owner, mode=mode, client_id=f"{run.pk}-{n}",
            time=now - timedelta(minutes=n + 1),
            side="sell" if n % 2 else "buy", price=Decimal("101.25") + n, amount=Decimal("0.5"), fee=Decimal("0.05"),
            fee_currency="USDT", realized=Decimal("1.5") if n % 2 else 0, tag="grid",
        )
        for n in range(trades)
    )  # fmt: skip
    Order.objects.bulk_create(
        Order(
            **common, owner=owner, client_id=f"{run.pk}-o{n}", slot=n, type="limit", side="buy" if n % 2 else "sell",
            price=Decimal(95 + n), amount=Decimal("0.5"), tag="grid", created_at=now, updated_at=now,
        )
        for n in range(orders)
    )  # fmt: skip
    Position.objects.create(**common, owner=owner, amount=4, average_price=100, opened_at=now - timedelta(hours=1))
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(
            bot=bot,
            run=run,
            time=now - timedelta(minutes=n),
            equity=1000 + 20 - n / 10,
            cash=600,
            position=4,
            price=101,
        )
        for n in range(1, 110)
    )
    Event.objects.create(owner=owner, bot=bot, run=run, code="order_filled", message=f"{name} bought at a level.")
    Event.objects.create(owner=owner, bot=bot, level="warning", code="order_refused", message=f"{name} lacks cash.")
    return bot


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
