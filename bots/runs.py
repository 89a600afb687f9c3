"""The one join of engine and rows: leads runs through candles and stores what came of it.

Backtest, paper and replay call the same step; they differ in where candles come from and where trades go.
A stretch of candles and everything it caused is one transaction: after a crash the same candles are seen again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from bots import writes
from bots.book import Book
from bots.engine.run import Engine
from bots.engine.simulate import Steps, step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.models import Mode, Run
from bots.outcomes import Outcome
from bots.records import ExactTrade, exact_trade, terms_of
from markets import candles as store
from markets.models import Feed, Market
from markets.series import Candles

log = logging.getLogger(__name__)

# Market id, timeframe in seconds, open time of the last candle seen -> the closed candles after it.
Bars = Callable[[int, int, int], Candles]
# Candles a run takes in one transaction: bounds memory and the time its row is locked.
MOST_BARS = 20_000
# Runs a transaction carries.
SHARD = 500


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest came to. trades and book are exact; steps.equity is quote at each close, float64."""

    engine: Engine
    steps: Steps
    trades: list[ExactTrade]
    book: Book


def backtest(kind_slug: str, raw: dict[str, Any], market: Market, capital: Decimal, candles: Candles) -> Backtest:
    """Run a kind over candles, in memory alone. Raises ParamsError."""
    kind, terms = KINDS[kind_slug], terms_of(market)
    engine = Engine.new(kind, kind.validate(raw, terms, float(capital)), terms, float(capital))
    steps = step(engine, candles)
    trades, book = [exact_trade(record, kind, market) for record in steps.trades], Book(cash=capital)
    for trade in trades:
        book.apply(trade.direction, trade.price, trade.amount, trade.fee)
    return Backtest(engine, steps, trades, book)


def engine_of(run: Run) -> Engine:
    """The engine as the run left it. Raises ValueError (ParamsError too) when its state or parameters do not fit."""
    constants = (json.dumps(constant, sort_keys=True) for constant in (run.params, run.terms))
    return _fresh(run.kind, *constants, float(run.allocation)).restore(bytes(run.state), bytes(run.orders))


@lru_cache(maxsize=20_000)
def _fresh(kind_slug: str, params: str, terms: str, allocation: float) -> Engine:
    """A run that has seen nothing, kept: preparing the constants anew costs more than stepping a candle."""
    kind = KINDS.get(kind_slug)
    if kind is None:
        raise ValueError(f"kind {kind_slug!r} is not installed; the installed kinds are {', '.join(KINDS)}.")
    return Engine.new(kind, kind.read(json.loads(params)), Terms(**json.loads(terms)), allocation)


def due() -> QuerySet[Run]:
    """Running runs of accounts whose feed holds candles they have not seen, neighbours on a market together."""
    ahead = Feed.objects.filter(
        market=OuterRef("market"), timeframe=OuterRef("timeframe"), synced_to__gt=OuterRef("bar_time")
    )
    running = Run.objects.filter(Exists(ahead), status=Run.Status.RUNNING).exclude(mode=Mode.REPLAY)
    return running.order_by("market_id", "timeframe", "id")


def advance(claim: QuerySet[Run], bars: Bars) -> int:
    """Lead a shard of runs through the candles they have not seen; returns how many saw some.

    Runs that another worker holds are passed over. Everything is stored in one transaction.
    """
    with transaction.atomic():
        runs = claim.select_related("bot", "market").select_for_update(skip_locked=True, of=("self",))
        moved = [outcome for run in runs[:SHARD] if (outcome := _lead(run, bars))]
        writes.write(moved)
    return len(moved)


def _lead(run: Run, bars: Bars) -> Outcome | None:
    """Step one run; None when there is nothing new. A run that cannot be stepped fails alone, with its reason."""
    try:
        candles = bars(run.market_id, run.timeframe, run.bar_time)
        if not len(candles):
            return None
        engine = engine_of(run)
        return Outcome.of(run, engine, step(engine, candles), candles)
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:  # whatever its state or figures are
        log.exception("run %s cannot be stepped", run.pk)
        run.refresh_from_db()  # what was booked before the fault is not stored
        return Outcome.failure(run, str(error))


def stored_bars() -> Bars:
    """Candles from the database; runs of one market that stand at the same candle share a read."""
    read: dict[tuple[int, int, int], Candles] = {}

    def bars(market_id: int, timeframe: int, after: int) -> Candles:
        key = (market_id, timeframe, after)
        if key not in read:
            read[key] = store.load(market_id, timeframe, start=after + 1)[:MOST_BARS]
        return read[key]

    return bars


def advance_due() -> int:
    """Advance until no run that this worker can have is behind its feed; returns how many steps of runs were made."""
    total = 0
    while moved := advance(due(), stored_bars()):
        total += moved
    return total
