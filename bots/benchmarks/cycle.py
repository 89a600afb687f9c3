"""The cycle of a worker at scale: many paper runs, one closed candle each, on a database of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import connection

from bots import runs
from bots.engine import programs, simulate
from bots.engine.run import Engine
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.models import Account, Bot, Event, Mode, Order, Run, Trade
from bots.records import terms_of
from markets import candles as store
from markets.models import Exchange, Feed, Market
from markets.series import Candles
from orchestrator.benchmarks import Row, own_database, row

FIRST_MS = 1_700_000_040_000
TIMEFRAME = 60
MONEY = Decimal(10_000)
CANDLES = 6  # the first one starts the runs and does not count


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=10_000)
    parser.add_argument("--markets", type=int, default=500)


def rows(options: dict[str, Any]) -> list[Row]:
    """What one candle of every market takes, as medians."""
    bots, markets = options["bots"], options["markets"]
    if not (0 < markets <= bots <= 1_000_000):
        raise CommandError(f"bots must be at least markets ({markets}) and at most 1,000,000, not {bots}.")
    with own_database():
        found = _markets(markets)
        _runs(bots, found)
        connection.cursor().execute("ANALYZE")
        walk = _walk(markets)
        _close(found, walk, 0)
        runs.advance_due()
        taken: dict[str, list[float]] = {"cycle": [], "stepping": []}
        for index in range(1, CANDLES):
            _close(found, walk, index)
            with stopwatch() as stepping:
                began = time.perf_counter()
                moved = runs.advance_due()
                taken["cycle"].append(1000 * (time.perf_counter() - began))
            taken["stepping"].append(1000 * stepping[0])
            if moved != bots:
                raise RuntimeError(f"{moved} of {bots} runs saw the candle")
        stored = f"{Trade.objects.count():,} trades, {Order.objects.count():,} orders, {Event.objects.count():,} events"
    name = f"{bots:,} paper runs on {markets} markets, one candle"
    return [
        row(f"{name}, stored ({stored} in all)", median(taken["cycle"]), "ms"),
        row(f"{name}, the stepping in it", median(taken["stepping"]), "ms"),
    ]


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Seconds spent in the compiled loop while it is open."""
    spent, plain = [0.0], programs.program

    def timed(kind: Kind) -> Callable[..., tuple[int, int]]:
        call = plain(kind)

        def measured(*arguments: Any) -> tuple[int, int]:
            began = time.perf_counter()
            found = call(*arguments)
            spent[0] += time.perf_counter() - began
            return found

        return measured

    with patch.object(simulate, "program", timed):
        yield spent


def _markets(count: int) -> list[Market]:
    """Spot and swaps in turn."""
    exchange = Exchange.objects.create(slug="benchmark", name="Benchmark", ccxt_id="simulated", enabled=False)
    made = Market.objects.bulk_create(
        Market(
            exchange=exchange, symbol=f"C{index}/USDT{':USDT' if index % 2 else ''}", base=f"C{index}",
            quote="USDT", type="swap" if index % 2 else "spot", max_leverage=Decimal(20 if index % 2 else 1),
            maintenance_rate=Decimal("0.005" if index % 2 else 0), funding_to=FIRST_MS + 10**9, tick=Decimal("0.01"),
            lot=Decimal("0.0001"), min_cost=Decimal(1), maker=Decimal("0.001"), taker=Decimal("0.001"),
        )
        for index in range(count)
    )  # fmt: skip
    Feed.objects.bulk_create(Feed(market=market, timeframe=TIMEFRAME) for market in made)
    return made


def _runs(count: int, markets: list[Market]) -> None:
    """Bots of every kind that suits, in turn, as their examples say, spread over the markets."""
    owner = get_user_model().objects.create(username="benchmark", password="!", is_active=False)
    account = Account.objects.create(owner=owner, name="Benchmark", exchange=markets[0].exchange)
    kinds = [kind for kind in KINDS.values() if kind.observe is None]
    suiting = {"spot": [kind for kind in kinds if not kind.margin], "swap": kinds}
    pairs = [(index // len(markets), markets[index % len(markets)]) for index in range(count)]
    chosen = [(suiting[market.type][turn % len(suiting[market.type])], market) for turn, market in pairs]
    bots = Bot.objects.bulk_create(
        Bot(
            owner=owner, account=account, market=market, name=f"Bot {index}", kind=kind.slug, allocation=MONEY,
            status=Bot.Status.RUNNING, params=dict(kind.example),
        )
        for index, (kind, market) in enumerate(chosen)
    )  # fmt: skip
    terms = {market.type: terms_of(market) for market in markets}
    fresh = {
        (kind.slug, market.type): Engine.new(kind, kind.read(kind.example), terms[market.type], float(MONEY)).save()
        for kind, market in chosen[: 2 * len(markets) * len(kinds)]
    }
    Run.objects.bulk_create(
        Run(
            bot=bot, market=bot.market, number=1, mode=Mode.PAPER, kind=bot.kind, timeframe=TIMEFRAME,
            params=bot.params, terms=asdict(terms[bot.market.type]), allocation=MONEY, cash=MONEY, equity=MONEY,
            state=fresh[bot.kind, bot.market.type][0], orders=fresh[bot.kind, bot.market.type][1],
            bar_time=FIRST_MS - 60_000,
        )
        for bot in bots
    )  # fmt: skip


def _walk(markets: int) -> list[Candles]:
    """Candles of every market around 100, a tenth of a percent a minute."""
    found = []
    for index in range(markets):
        random = np.random.RandomState(index)
        prices = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.001 / np.sqrt(8), CANDLES * 8))), 2)
        parts = prices.reshape(CANDLES, 8)
        columns = (parts[:, 0], parts.max(1), parts.min(1), parts[:, -1], np.ones(CANDLES))
        time_ = FIRST_MS + 60_000 * np.arange(CANDLES, dtype=np.int64)
        found.append(Candles(time_, *(np.ascontiguousarray(column) for column in columns)))
    return found


def _close(markets: list[Market], walk: list[Candles], index: int) -> None:
    """Store the candle of every market, as its feed does."""
    store.upsert_many(
        (market.pk, TIMEFRAME, candles[index : index + 1]) for market, candles in zip(markets, walk, strict=True)
    )
    Feed.objects.filter(market__in=markets).update(synced_to=FIRST_MS + 60_000 * index)
