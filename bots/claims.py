"""Claiming runs: locked and read with what changes; what never changes in a run's life is kept by the process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from django.db.models import QuerySet

from bots import limits
from bots.engine.run import Engine
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.models import Run

# Read anew, under the row's lock, whenever a run is claimed; the book when something is booked.
STATE = ("status", "bar_time", "state", "orders", "last_price")
BOOK = ("cash", "position", "cost", "realized", "fees", "funding", "equity", "trades_count")
KEPT = 20_000  # more than one claim may bring

Key = tuple[int, datetime]  # a run and its start: the same number in another database is another run
_runs: OrderedDict[Key, Run] = OrderedDict()
_engines: OrderedDict[Key, Engine] = OrderedDict()


def claim(wanted: QuerySet[Run], limit: int) -> list[Run]:
    """Lock up to `limit` of the runs that no other worker holds, in their order; inside a transaction."""
    locked = wanted.select_for_update(skip_locked=True, of=("self",))
    rows = list(locked.values_list("pk", "started_at", *STATE)[:limit])
    known = _known([row[:2] for row in rows])
    for pk, _, *values in rows:
        run = known[pk]
        for name, value in zip(STATE, values, strict=True):
            setattr(run, name, value)
    return list(known.values())


def read_book(runs: Sequence[Run]) -> None:
    """Read the exact figures of claimed runs: most see candles at which nothing is booked, and do without."""
    by_number = {run.pk: run for run in runs}
    for pk, *values in Run.objects.filter(pk__in=by_number).values_list("pk", *BOOK):
        for name, value in zip(BOOK, values, strict=True):
            setattr(by_number[pk], name, value)


def _known(keys: list[Key]) -> dict[int, Run]:
    """Runs by number, in order, with their bot and market; those that the process has not seen yet are read."""
    missing = [pk for pk, started in keys if (pk, started) not in _runs]
    if missing:
        for run in Run.objects.select_related("bot", "market").filter(pk__in=missing):
            _keep(_runs, run, run)
    return {pk: _runs[pk, started] for pk, started in keys}


V = TypeVar("V")


def _keep(kept: OrderedDict[Key, V], run: Run, value: V) -> V:
    """Remember what belongs to a run; the oldest goes when there are too many."""
    kept[run.pk, run.started_at] = value
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return value


def engine_of(run: Run) -> Engine:
    """The engine as the run left it. Raises ValueError (ParamsError too) when its state or parameters do not fit."""
    return restored(_fresh(run), run)


def constants_of(run: Run) -> Engine:
    """The engine of a claimed run before its first candle, prepared once a process; not to be stepped.

    Raises ValueError.
    """
    return _engines.get((run.pk, run.started_at)) or _keep(_engines, run, _fresh(run))


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
