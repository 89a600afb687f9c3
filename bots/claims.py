"""Claiming runs: locked and read with what changes; what never changes in a run's life is kept by the process.

So is the state of those to which nothing happened: PostgreSQL marks each version of a row with the transaction that
wrote it (xmin), in one count for all databases of a server. A row that bears the mark of this process's own last write
holds what the process remembers, and most of what a claim would read need not be. Whoever else writes it, a click or
another worker, changes the mark.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet, TextField, Value
from django.db.models.expressions import RawSQL

from bots import limits
from bots.engine.run import Engine
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.models import Run
from orchestrator.prepared import Prepared, among

# Read anew, under the row's lock, whenever a run is claimed; the saved state if somebody else may have written it; the
# book when something is booked.
STANDS = ("status", "bar_time", "last_price")
SAVED = ("state", "orders")
STATE = (*STANDS, *SAVED)
BOOK = ("cash", "position", "cost", "realized", "fees", "funding", "equity", "trades_count")
KEPT = 20_000  # more than one claim may bring
_MANY = 500  # runs, from which on it pays to spare the garbage collector them

Statement = tuple[str, tuple[Any, ...]]
Key = tuple[int, datetime]  # a run and its start: the same number in another database is another run
K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Known:
    """version: the mark of the row whose saved state the run in memory has; "" when that is not known."""

    run: Run
    version: str = ""


_OF_RUNS = among("bots_run.id", "runs")
_BOOKS = Prepared(lambda: Run.objects.filter(_OF_RUNS).order_by().values_list("pk", *BOOK))
_SAVED = Prepared(lambda: Run.objects.filter(_OF_RUNS).order_by().values_list("pk", "started_at", *SAVED))

_runs: OrderedDict[int, _Known] = OrderedDict()
_engines: OrderedDict[Key, Engine] = OrderedDict()
_uncounted = 0  # runs that were kept since the collector was told of them


def claiming(wanted: QuerySet[Run], limit: int) -> Statement:
    """What locks up to `limit` of these runs that no other worker holds, in their order; inside a transaction.

    Whoever claims again and again keeps it: Django takes longer to put it together than the database to answer.
    """
    if "checked_at" not in wanted.query.annotations:
        wanted = wanted.annotate(checked_at=Value(None, TextField()))
    locked = wanted.select_for_update(skip_locked=True, of=("self",)).annotate(
        version=RawSQL("bots_run.xmin::text", ())
    )
    return locked.values_list("pk", "version", *STANDS, "checked_at")[:limit].query.sql_with_params()


def claim(statement: Statement) -> list[Run]:
    """Lock the runs of a claiming() statement; inside its transaction."""
    _spare_collector()
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        rows = cursor.fetchall()
    _read([pk for pk, version, *_ in rows if pk not in _runs or _runs[pk].version != version])
    found = []
    for pk, _, status, bar_time, last_price, candle_at in rows:
        known = _runs[pk]
        # What is about to happen to it counts once it is stored.
        known.version = ""
        run = known.run
        run.status, run.bar_time, run.last_price, run.candle_at = status, bar_time, last_price, candle_at
        found.append(run)
    # Not before: the oldest may be among those that are claimed.
    _trim(_runs)
    return found


def forget(runs: Iterable[Run]) -> None:
    """Read these runs anew if they are ever claimed again: ones whose rows in memory say that they are over.

    They are not, should the transaction fail after all.
    """
    for run in runs:
        _runs.pop(run.id, None)


def remember(runs: Iterable[Run], version: str) -> None:
    """The rows of claimed runs bear this mark now, and their saved state is the one in memory.

    Should the transaction fail after all, no row will ever bear it.
    """
    for run in runs:
        known = _runs.get(run.id)
        if known and known.run is run:
            known.version = version


def read_book(runs: Sequence[Run]) -> None:
    """Read the exact figures of claimed runs: most see candles at which nothing is booked, and do without."""
    if not runs:
        return
    by_number = {run.id: run for run in runs}
    for pk, *values in _BOOKS.rows(runs=list(by_number)):
        for name, value in zip(BOOK, values, strict=True):
            setattr(by_number[pk], name, value)


def _read(stale: Sequence[int]) -> None:
    """Read the saved states of runs; of those that the process has not seen yet all, with their bot and market."""
    global _uncounted
    missing, known = set(stale), [pk for pk in stale if pk in _runs]
    if known:
        for pk, started, *values in _SAVED.rows(runs=known):
            run = _runs[pk].run
            if run.started_at == started:
                run.state, run.orders = values
                missing.remove(pk)
    if missing:
        _uncounted += len(missing)
        for run in Run.objects.select_related("bot", "market").filter(pk__in=missing):
            _runs.pop(run.id, None)
            _runs[run.id] = _Known(run)


def _trim(kept: OrderedDict[K, V]) -> None:
    """The oldest go when there are too many."""
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _spare_collector() -> None:
    """Take what is kept out of what Python's cycle collector looks through, again and again, a fifth of a cycle long.

    Nothing kept is part of a cycle, so what is dropped is freed all the same.
    """
    global _uncounted
    if _uncounted >= _MANY:
        gc.freeze()
        _uncounted = 0


def engine_of(run: Run) -> Engine:
    """The engine as the run left it. Raises ValueError (ParamsError too) when its state or parameters do not fit."""
    return restored(_fresh(run), run)


def constants_of(run: Run) -> Engine:
    """The engine of a claimed run before its first candle, prepared once a process; not to be stepped.

    Raises ValueError.
    """
    key = (run.id, run.started_at)
    found = _engines.get(key)
    if found is None:
        found = _engines[key] = _fresh(run)
        _trim(_engines)
    return found


def restored(fresh: Engine, run: Run) -> Engine:
    """A run's engine with its saved state. Raises ValueError.

    Candles at which nothing happened moved the columns bar_time and last_price alone; the state follows them.
    """
    engine = fresh.restore(bytes(run.state), bytes(run.orders))
    engine.stand_at(run.bar_time, run.last_price)
    return engine


def _fresh(run: Run) -> Engine:
    """A run that has seen nothing. Raises ValueError."""
    kind = KINDS.get(run.kind)
    if kind is None:
        raise ValueError(f"kind {run.kind!r} is not installed; the installed kinds are {', '.join(KINDS)}.")
    allocation = float(run.allocation)
    most = limits.for_engine(limits.read(run.limits), allocation)
    return Engine.new(kind, kind.read(run.params), Terms(**run.terms), allocation, most)
