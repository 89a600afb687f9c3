"""The one join of engine and rows: leads runs through candles and stores what came of it.

Backtest, paper and replay call the same step; they differ in where candles come from and where trades go.
A stretch of candles and everything it caused is one transaction: after a crash the same candles are seen again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any

from django.db import DataError, transaction
from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from bots import funding, writes
from bots import quiet as quiet_runs
from bots.bars import STORED, Bars
from bots.batch import FAULTS, Batch
from bots.book import Book
from bots.claims import BOOK, STATE, Statement, claim, claiming, constants_of, forget, read_book, restored
from bots.engine.run import Engine
from bots.engine.simulate import NO_FUNDING, Laid, Steps, Stretch, happened, step, step_many
from bots.engine.types import EXPECTED
from bots.kinds import KINDS
from bots.models import Mode, Run
from bots.observations import observe
from bots.outcomes import Outcome
from bots.records import ExactPayment, ExactTrade, digits_of, exact_payment, exact_trade, in_order, terms_of
from bots.stretches import Stretches
from markets.models import Market
from markets.series import Candles

log = logging.getLogger(__name__)

Ready = tuple[Run, Engine, Stretch]
Stored = Callable[[Iterable[datetime | None]], None]
Wanted = Callable[[], QuerySet[Run]]
# Runs that the first transaction of a cycle carries, whose orders are soon stored, and those of a long cycle at most.
FIRST_SHARD, SHARD = 500, 2_500
_FIRST_UNSEEN_CLOSE = F("bar_time") + F("timeframe") * 2_000  # ms UTC


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest came to. trades, payments and book are exact; steps.equity is quote at each close, float64."""

    engine: Engine
    steps: Steps
    trades: list[ExactTrade]
    payments: list[ExactPayment]
    book: Book


def backtest(
    kind_slug: str,
    raw: dict[str, Any],
    market: Market,
    timeframe: int,
    capital: Decimal,
    candles: Candles,
    path: int = EXPECTED,
) -> Backtest:
    """Run a kind over candles of `timeframe` seconds; stores nothing. Raises ParamsError.

    path: which extreme of a candle comes first; bots.engine.types.PATHS has the bounds.
    """
    kind, terms = KINDS[kind_slug], terms_of(market)
    engine = Engine.new(kind, kind.validate(raw, terms, float(capital)), terms, float(capital), path=path)
    seen = observe(kind, engine.params, market.pk, timeframe, candles)
    paid = funding.rates_of((market.pk, timeframe, 0), candles) if terms.margin else NO_FUNDING
    steps = step(engine, candles, seen, paid)
    digits = digits_of(market, asdict(terms))
    trades = [exact_trade(record, kind, digits) for record in steps.trades]
    payments, book = [exact_payment(record, digits) for record in steps.payments], Book(cash=capital)
    for booked in in_order(trades, payments):
        if isinstance(booked, ExactPayment):
            book.pay(booked.paid)
        else:
            book.apply(booked.direction, booked.price, booked.amount, booked.fee)
    return Backtest(engine, steps, trades, payments, book)


def due() -> QuerySet[Run]:
    """Running runs on paper whose feed holds candles they have not seen, those that have waited longest first.

    Neighbours on a market are together. Were the markets alone in order, the last ones would never have their turn
    where candles close faster than a worker comes through.
    """
    running = Run.objects.filter(
        funding.KNOWN,
        status=Run.Status.RUNNING,
        mode=Mode.PAPER,
        market__feeds__timeframe=F("timeframe"),
        market__feeds__synced_to__gt=F("bar_time"),
    )
    # As text: of a feed's runs one alone is asked for it.
    checked_at = Cast("market__feeds__checked_at", TextField())
    return running.annotate(checked_at=checked_at).order_by(_FIRST_UNSEEN_CLOSE, "market_id", "id")


def advance(wanted: QuerySet[Run], bars: Bars) -> int:
    """Lead a shard of runs through the candles they have not seen; returns how many saw some.

    Runs that another worker holds are passed over. Everything is stored in one transaction. A run whose figures its
    columns cannot hold is looked for by halves, and fails alone.
    """
    _, moved = _advance(wanted.all, partial(claiming, wanted, SHARD), bars)
    return len(moved)


def _advance(wanted: Wanted, asked: Callable[[], Statement], bars: Bars) -> tuple[list[Run], list[Run]]:
    """advance(): (the runs that were claimed, those of them that saw candles). asked: what claims some of them."""
    shard: list[Run] = []
    try:
        with transaction.atomic():
            shard += claim(asked())
            moved = _store(*_lead(shard, bars)) if shard else []
    except DataError as error:
        if not shard:
            raise
        moved = _apart(wanted, [run.pk for run in shard], bars, error)
    return shard, moved


def _store(outcomes: list[Outcome], quiet: list[tuple[Run, Candles]]) -> list[Run]:
    forget(outcome.run for outcome in outcomes if outcome.ended)
    writes.write(outcomes)
    quiet_runs.write(quiet)
    return [outcome.run for outcome in outcomes] + [run for run, _ in quiet]


def _apart(wanted: Wanted, numbers: list[int], bars: Bars, error: DataError) -> list[Run]:
    """Advance by halves what cannot be stored together; returns those that saw candles."""
    if len(numbers) == 1:
        return _give_up(wanted().filter(pk__in=numbers), error)
    moved = []
    for part in (numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]):
        some = wanted().filter(pk__in=part)
        moved += _advance(some.all, partial(claiming, some, len(part)), bars)[1]
    return moved


@transaction.atomic
def _give_up(wanted: QuerySet[Run], error: DataError) -> list[Run]:
    """Fail the one run of which what happened cannot be stored."""
    reason = ValueError(f"what happened cannot be stored: {str(error).splitlines()[0]}.")
    return _store([_failed(run, reason) for run in claim(claiming(wanted, 1))], [])


def _lead(shard: Sequence[Run], bars: Bars) -> tuple[list[Outcome], list[tuple[Run, Candles]]]:
    """Step the runs that have something new to see: (what came of them, those to which nothing happened).

    One that cannot be stepped fails alone, with its reason.
    """
    stretches, batch = Stretches(shard, bars), Batch(shard)
    ready, faults = _ready(shard, stretches, batch)
    results = _stepped(ready, batch.laid)
    same = batch.untouched()
    quiet, loud = [], []
    for one, steps in results:
        run, engine, stretch = one
        if isinstance(steps, Exception):
            faults.append((run, steps))
        # One that was stepped again alone has an engine of its own, of which the batch knows nothing.
        elif run.id in same and engine is batch.engines[run.id] and not happened(steps) and stretches.is_plain(run):
            quiet.append((run, stretch.candles))
        else:
            loud.append((one, steps))
    read_book([run for (run, *_), _ in loud])
    outcomes = [_outcome(one, steps, stretches.unknown_rate(one[0])) for one, steps in loud]
    return [_failed(run, error) for run, error in faults] + outcomes, quiet


def _ready(shard: Sequence[Run], stretches: Stretches, batch: Batch) -> tuple[list[Ready], list[tuple[Run, Exception]]]:
    """(the runs that see candles, those that cannot be stepped)."""
    ready: list[Ready] = []
    faults = [(run, batch.faults[run.id]) for run in shard if run.id in batch.faults]
    for run in shard:
        try:
            engine = batch.engines.get(run.id)
            if engine and len((stretch := stretches.of(run, engine)).candles):
                ready.append((run, engine, stretch))
        except FAULTS as error:
            faults.append((run, error))
    return ready, faults


def _stepped(ready: list[Ready], laid: Sequence[Laid] = ()) -> list[tuple[Ready, Steps | Exception]]:
    """All in one call; when that fails one by one, to find the one that does."""
    try:
        steps = step_many([engine for _, engine, _ in ready], [stretch for *_, stretch in ready], laid)
    except FAULTS as error:
        if len(ready) == 1:
            return [(ready[0], error)]
        # What the engines hold now is of no use: they start again from the rows.
        return [
            pair for run, _, stretch in ready for pair in _stepped([(run, restored(constants_of(run), run), stretch)])
        ]
    return list(zip(ready, steps, strict=True))


def _outcome(ready: Ready, steps: Steps, unknown_rate: int | None) -> Outcome:
    run, engine, stretch = ready
    try:
        return Outcome.of(run, engine, steps, stretch.candles, unknown_rate)
    except FAULTS as error:
        return _failed(run, error)


def _failed(run: Run, error: Exception) -> Outcome:
    log.error("run %s cannot be stepped", run.id, exc_info=error)
    run.refresh_from_db(fields=[*STATE, *BOOK])  # what was booked before the fault is not stored
    return Outcome.failure(run, str(error))


def advance_due(stored: Stored = lambda candles: None, backwards: bool = False) -> int:
    """Advance until no run that this worker can have is behind its feed; returns how many steps of runs were made.

    stored: called when a shard has been committed, with when the last candle of each of its feeds was stored.
    backwards: from the last market on. Two processes that start at either end meet in the middle, and each has most of
    its runs in memory from the candle before.
    """
    total = 0
    for size in _sizes():
        claimed, moved = _advance(due, partial(_claiming_due, size, backwards), STORED)
        if moved:
            feeds = {(run.market_id, run.timeframe): run.candle_at for run in moved}
            stored([datetime.fromisoformat(at) if at else None for at in feeds.values()])
            total += len(moved)
        elif len(claimed) < size or size == SHARD:  # else others may be behind those that had nothing to see
            break
    return total


def _sizes() -> Iterator[int]:
    """Runs of each transaction of a cycle. Every transaction costs as much as two hundred runs in it."""
    yield FIRST_SHARD
    size = FIRST_SHARD
    while True:
        yield size
        size = min(4 * size, SHARD)


@cache
def _claiming_due(size: int, backwards: bool) -> Statement:
    wanted = due()
    return claiming(wanted.order_by(_FIRST_UNSEEN_CLOSE, "-market_id", "-id") if backwards else wanted, size)
