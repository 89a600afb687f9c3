"""Bots of every kind that run on paper over many markets, and candles that close for all of them at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal

import numpy as np
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from bots.engine.run import Engine
from bots.kinds import KINDS
from bots.models import Account, Bot, Mode, Run
from bots.records import terms_of
from markets import candles as store
from markets.models import Exchange, Feed, Market
from markets.series import Candles

FIRST_MS = 1_700_000_040_000
TIMEFRAME = 60
MONEY = Decimal(10_000)
LONGEST = 1_000  # candles of a market's walk


@dataclass(slots=True)
class Fleet:
    """markets with their walks; closed: how many candles of each have closed."""

    markets: list[Market]
    walks: list[Candles]
    closed: int = 0

    def close(self) -> None:
        """Store the next candle of every market, as its feed does."""
        at = self.closed
        store.upsert_many(
            (market.pk, TIMEFRAME, walk[at : at + 1]) for market, walk in zip(self.markets, self.walks, strict=True)
        )
        Feed.objects.filter(market__in=self.markets).update(synced_to=FIRST_MS + 60_000 * at, checked_at=timezone.now())
        self.closed += 1

    def run(self, count: int) -> None:
        """Let the first so many of the runs be running, where all that has closed is behind them, the others not."""
        chosen = Run.objects.filter(market__in=self.markets).order_by("pk").values("pk")[:count]
        Run.objects.filter(market__in=self.markets).exclude(pk__in=chosen).update(status=Run.Status.PAUSED)
        Run.objects.filter(pk__in=chosen).update(
            status=Run.Status.RUNNING, bar_time=FIRST_MS + 60_000 * (self.closed - 1)
        )
        _analyze()

    def behind(self) -> int:
        """Running runs that have not seen all that has closed; those that came to their end need see no more."""
        last = FIRST_MS + 60_000 * (self.closed - 1)
        return Run.objects.filter(market__in=self.markets, status=Run.Status.RUNNING, bar_time__lt=last).count()


def make(bots: int, markets: int, candles: int = LONGEST) -> Fleet:
    """Bots as their kinds' examples say, spread over the markets of an exchange of their own, all of them running."""
    made = _markets(markets)
    _runs(bots, made)
    _analyze()
    return Fleet(made, _walk(markets, candles))


def _analyze() -> None:
    """As Postgres does by itself a minute after many rows have changed."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


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
    owner = get_user_model().objects.create(username="benchmark", password="!")
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


def _walk(markets: int, candles: int) -> list[Candles]:
    """Candles of every market around 100, a tenth of a percent a minute."""
    found = []
    for index in range(markets):
        random = np.random.RandomState(index)
        prices = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.001 / np.sqrt(8), candles * 8))), 2)
        parts = prices.reshape(candles, 8)
        columns = (parts[:, 0], parts.max(1), parts.min(1), parts[:, -1], np.ones(candles))
        time_ = FIRST_MS + 60_000 * np.arange(candles, dtype=np.int64)
        found.append(Candles(time_, *(np.ascontiguousarray(column) for column in columns)))
    return found
