"""A data set to measure with: bots of every kind that have traded for a month, and a history of any length.

Rows are made where they are kept: one INSERT … SELECT a table, no row crosses the wire.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from bots import equity, trade_days
from bots.engine.run import Engine
from bots.kinds import KINDS
from bots.load_rows import CANDLES, EVENTS, ORDERS, POSITIONS, SNAPSHOTS, TRADES
from bots.models import Account, Balance, Bot, Mode, Run
from bots.records import terms_of
from markets.models import Exchange, Feed, Market

SLUG = "load"
DAYS = 30
TIMEFRAME = 60
MONEY = Decimal(10_000)
POSITIONS_OPEN = 50
CANDLES_EACH = 360
# Of ten bots: what they are doing. A failed one, a paused one and a draft are always there.
STATES = ("running",) * 6 + ("paused", "stopped", "failed", "draft")
REASONS = {"failed": "The exchange refused its orders for an hour.", "paused": "Paused by load.", "stopped": "Stopped."}


@dataclass(frozen=True, slots=True)
class Made:
    """What was stored, in rows."""

    bots: int
    trades: int
    markets: int
    seconds: float


def seed(bots: int, trades: int, markets: int, user: str) -> Made:
    """Store the data set as belonging to a user of that name, who cannot log in until given a password.

    All or nothing. The exchange is switched off, so that no worker trades for it. Raises ValueError where the data
    set is there already.
    """
    began = timezone.now()
    with transaction.atomic():
        if Exchange.objects.filter(slug=SLUG).exists():
            raise ValueError(f"a data set is there already: the exchange {SLUG!r}. Load into an empty database.")
        owner, created = get_user_model().objects.get_or_create(username=user)
        if created:
            owner.set_unusable_password()
            owner.save(update_fields=["password"])
        found = _markets(markets)
        _bots(owner, found, bots, trades, began)
        _history(owner, began)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    equity.sum_up()
    trade_days.sum_up()
    return Made(bots, trades, markets, (timezone.now() - began).total_seconds())


def _markets(count: int) -> list[Market]:
    """Spot and swaps in turn, prices from a cent to fifty thousand, one in ten quoted in bitcoin."""
    random = np.random.RandomState(7)
    exchange = Exchange.objects.create(slug=SLUG, name="Load", ccxt_id="simulated", enabled=False)
    now = timezone.now()
    made = Market.objects.bulk_create(
        Market(
            exchange=exchange, base=f"L{index}", quote=quote, symbol=f"L{index}/{quote}{f':{quote}' if swap else ''}",
            type="swap" if swap else "spot", max_leverage=Decimal(20 if swap else 1),
            maintenance_rate=Decimal("0.005" if swap else 0), tick=Decimal("0.0001"), lot=Decimal("0.001"),
            min_cost=Decimal(5), last=round(float(10 ** random.uniform(-2, 4.7)), 4), last_at=now,
            change_24h=float(random.normal(0, 0.04)), quote_volume_24h=float(10 ** random.uniform(4, 9)),
        )
        for index, (quote, swap) in enumerate(
            ("BTC" if at % 10 == 9 else "USDT", at % 2 == 1) for at in range(count)
        )
    )  # fmt: skip
    Feed.objects.bulk_create(Feed(market=market, timeframe=TIMEFRAME) for market in made)
    return made


def _bots(owner: Any, markets: list[Market], count: int, trades: int, now: datetime) -> None:
    account = Account.objects.create(owner=owner, name="Load", exchange=markets[0].exchange, mode=Mode.PAPER)
    Balance.objects.bulk_create(Balance(account=account, currency=name, free=MONEY) for name in ("BTC", "USDT"))
    plain = [kind for kind in KINDS.values() if kind.observe is None]
    suiting = {"spot": [kind for kind in plain if not kind.margin], "swap": plain}
    pairs = [(markets[index % len(markets)], index // 2) for index in range(count)]
    kinds = [suiting[market.type][turn % len(suiting[market.type])] for market, turn in pairs]
    rows = Bot.objects.bulk_create(
        Bot(
            owner=owner, account=account, market=market, name=f"Load {kind.label} {index:05}", kind=kind.slug,
            timeframe=TIMEFRAME, allocation=MONEY, params=dict(kind.example), status=state,
            reason=REASONS.get(state, ""), created_at=now - timedelta(days=DAYS, seconds=index),
        )
        for index, ((market, _), kind, state) in enumerate(
            zip(pairs, kinds, (STATES[index % len(STATES)] for index in range(count)), strict=True)
        )
    )  # fmt: skip
    started = [bot for bot in rows if bot.status != Bot.Status.DRAFT] or rows[:1]
    _runs(started, _shares(trades, len(started)), now)


def _shares(trades: int, runs: int) -> list[int]:
    """How many trades each run has: a few have most of them, the sum is exact."""
    weights = 1.0 / (1.0 + np.arange(runs) % 37)
    edges = np.round(np.cumsum(weights) / weights.sum() * trades).astype(int)
    return [int(count) for count in np.diff(edges, prepend=0)]


def _runs(bots: list[Bot], trades: list[int], now: datetime) -> None:
    random = np.random.RandomState(11)
    fresh: dict[tuple[str, str], tuple[bytes, bytes]] = {}
    for bot in bots:
        if (key := (bot.kind, bot.market.type)) not in fresh:
            kind = KINDS[bot.kind]
            fresh[key] = Engine.new(kind, kind.read(kind.example), terms_of(bot.market), float(MONEY)).save()
    over = (Bot.Status.STOPPED, Bot.Status.FAILED, Bot.Status.DRAFT)
    Run.objects.bulk_create(
        Run(
            bot=bot, market=bot.market, number=1, mode=Mode.PAPER, kind=bot.kind, timeframe=TIMEFRAME,
            status="stopped" if bot.status in over else bot.status, reason=bot.reason, params=bot.params,
            terms=asdict(terms_of(bot.market)), allocation=MONEY, cash=MONEY,
            equity=MONEY + Decimal(round(float(random.normal(80, 400)), 2)), realized=Decimal(150), fees=Decimal(12),
            state=fresh[bot.kind, bot.market.type][0], orders=fresh[bot.kind, bot.market.type][1],
            bar_time=int(now.timestamp()) // 60 * 60_000 - 60_000, trades_count=count, last_price=bot.market.last,
            started_at=now - timedelta(days=DAYS), stopped_at=now - timedelta(days=1) if bot.status in over else None,
        )
        for bot, count in zip(bots, trades, strict=True)
    )  # fmt: skip


def _history(owner: Any, now: datetime) -> None:
    """Trades, orders, positions, snapshots, events and candles of the owner's runs."""
    values = {
        "owner": owner.pk,
        "now": now,
        "span": timedelta(days=DAYS),
        "money": MONEY,
        "positions": POSITIONS_OPEN,
        "candles": CANDLES_EACH,
        "exchange": SLUG,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.25)")
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() == (True,):
            # Foreign keys are checked row by row, which is half of the time. These come from a join with their targets.
            cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in (TRADES, ORDERS, POSITIONS, SNAPSHOTS, EVENTS, CANDLES):
            cursor.execute(statement, values)
