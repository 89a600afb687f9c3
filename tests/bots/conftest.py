from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from hypothesis import settings

from bots import services
from bots.book import Book
from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.models import Bot, FundingPayment
from bots.records import in_order
from markets import candles as store
from markets.models import Exchange, Feed, Market
from markets.series import Candles

# The first call of a compiled function compiles it: no limit per example.
settings.register_profile("bots", deadline=None)
settings.load_profile("bots")

START = 1_700_000_040_000
MINUTE = 60_000
GRID = {"lower": 90.0, "upper": 110.0, "lines": 5}


def bars(*rows: tuple[float, float, float, float], start: int = START) -> Candles:
    """Candles from rows of open, high, low, close."""
    return Candles.from_rows((start + index * MINUTE, *map(float, row), 1.0) for index, row in enumerate(rows))


def arrive(close, candles: Candles, stretches: list[int], advance) -> None:
    """Let candles close in stretches of so many, and advance after each."""
    at = 0
    for length in stretches:
        close(candles[at : at + length])
        advance()
        at += length


def fills(steps) -> list[tuple[str, float, float]]:
    """(side, price, amount) of each trade, in order."""
    return [("buy" if t["side"] > 0 else "sell", float(t["price"]), float(t["amount"])) for t in steps.trades]


def play(kind: str, params: dict, candles: Candles, terms: Terms = Terms(), money: float = 1000.0):  # noqa: B008
    """(engine, steps) of a fresh run over candles; the parameters are not checked against the market."""
    found = KINDS[kind]
    engine = Engine.new(found, found.read(params), terms, money)
    return engine, step(engine, candles)


def replayed(run) -> Book:
    """The exact ledger of a stored run, anew from its trades and funding payments."""
    book = Book(run.allocation)
    for row in in_order(run.trades.order_by("number"), run.funding_payments.all()):
        if isinstance(row, FundingPayment):
            book.pay(row.paid)
        else:
            book.apply(1 if row.side == "buy" else -1, row.price, row.amount, row.fee)
    return book


@pytest.fixture
def exchange(db):
    return Exchange.objects.create(
        slug="sim", name="Simulated", ccxt_id="simulated", ccxt_config={"seed": 42, "anchor_ms": START}
    )


@pytest.fixture
def market(exchange):
    made = Market.objects.create(
        exchange=exchange, symbol="SOL/USDT", base="SOL", quote="USDT", tick="0.01", lot="0.001", min_amount="0.001",
        min_cost="1", maker="0.001", taker="0.002", last=100.0,
    )  # fmt: skip
    made.refresh_from_db()  # Decimals in the place of the texts
    return made


@pytest.fixture
def owner(db):
    return get_user_model().objects.create_user("ann", password="secret")


@pytest.fixture
def account(owner, exchange):
    return services.open_paper_account(owner, "Paper", exchange, {"USDT": Decimal(10_000)})


@pytest.fixture
def bot(owner, account, market):
    return Bot.objects.create(
        owner=owner, account=account, market=market, name="Grid", kind="grid", timeframe=60, allocation=Decimal(1000),
        params=GRID,
    )  # fmt: skip


@pytest.fixture
def feed(market):
    return Feed.objects.create(market=market, timeframe=60)


@pytest.fixture
def close(feed):
    """close(candles): store candles of the market as if they had just closed."""

    def store_them(candles: Candles) -> None:
        store.upsert(feed.market_id, feed.timeframe, candles)
        feed.synced_to = int(candles.time[-1])
        feed.save(update_fields=["synced_to"])

    return store_them
