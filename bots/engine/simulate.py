"""The one way to lead runs through bars, one or thousands, one bar or a whole history: in a backtest and on paper."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from bots.engine.matching import most_fills
from bots.engine.programs import program
from bots.engine.run import Engine, Records
from bots.engine.types import FUNDING, NOTE, ORDER, RUN, SPAN, TRADE
from markets.series import Candles, Column, Times

ROOM = 512  # trades and notes a buffer holds beyond what one bar may bring,
BARS_A_TRADE = 32  # and one more for so many bars
SMALL_ROOM = 4096  # of a buffer that is emptied and used again: it stays in the processor's cache
PIECE = 8192  # bars that runs are led through abreast, for the same reason
Signals = np.ndarray[Any, np.dtype[np.int8]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a kind makes of candles before the engine steps through them.

    signals: int8, shape (n,); on_bar is called at the close of each bar with a signal other than 0.
    inputs: float64, shape (n, k); the row of the bar goes with it.
    """

    signals: Signals
    inputs: np.ndarray[Any, np.dtype[np.float64]]

    def __getitem__(self, rows: slice) -> Seen:
        return Seen(self.signals[rows], self.inputs[rows])

    def __len__(self) -> int:
        return len(self.signals)


@dataclass(frozen=True, slots=True)
class Funding:
    """Funding of a swap. times: ms UTC, int64, ascending; rates: fractions of the position's value, longs pay."""

    times: Times
    rates: Column

    def __len__(self) -> int:
        return len(self.times)


NOTHING_SEEN = Seen(np.empty(0, np.int8), np.empty((0, 0)))
NO_FUNDING = Funding(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a run is led through."""

    candles: Candles
    seen: Seen = NOTHING_SEEN
    funding: Funding = NO_FUNDING


@dataclass(frozen=True, slots=True)
class Steps:
    """What came of a stretch of bars. trades, payments of funding: TRADE; notes: NOTE; equity: quote at each close."""

    trades: Records
    payments: Records
    notes: Records
    equity: Column


def happened(steps: Steps) -> bool:
    """False when nothing came of a stretch but the equity of its closes."""
    return bool(len(steps.trades) or len(steps.notes) or len(steps.payments))


def step(engine: Engine, candles: Candles, seen: Seen = NOTHING_SEEN, funding: Funding = NO_FUNDING) -> Steps:
    """Lead one run through candles it has not seen; the result does not depend on how they are cut.

    seen: what its kind observes in them, for the kinds that do.
    """
    return step_many([engine], [Stretch(candles, seen, funding)])[0]


# Arrays that lie side by side in a larger one: (the arrays in their order, the larger one).
Laid = tuple[list[Records], Records]


def step_many(engines: Sequence[Engine], stretches: Sequence[Stretch], laid: Sequence[Laid] = ()) -> list[Steps]:
    """Lead each run through its stretch, the runs of a kind in one compiled call. Raises ValueError.

    laid: states and orders of the runs of a kind, where they lie side by side already, so that nothing is copied.
    """
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, engine in enumerate(engines):
        kinds[engine.kind.slug].append(index)
        if engine.kind.observe and len(stretches[index].seen) != len(stretches[index].candles):
            raise ValueError(f"the {engine.kind.slug} kind must observe the candles before it is stepped.")
    results: dict[int, Steps] = {}
    for indices in kinds.values():
        steps = _of_one_kind([engines[index] for index in indices], [stretches[index] for index in indices], laid)
        results |= dict(zip(indices, steps, strict=True))
    return [results[index] for index in range(len(engines))]


def _of_one_kind(engines: list[Engine], stretches: list[Stretch], laid: Sequence[Laid]) -> list[Steps]:
    spans = _spans(engines)
    columns, lengths = _columns(spans, stretches), spans["bars_end"] - spans["bars"]
    spans["curve"], curve = np.cumsum(lengths) - lengths, np.empty(int(lengths.sum()))
    runs, orders = _one([engine.run for engine in engines], laid), _one([engine.orders for engine in engines], laid)
    setups, params = _one([engine.setup for engine in engines]), _one([engine.vector for engine in engines])
    call = program(engines[0].kind)
    slots = max(len(engine.orders) for engine in engines)
    # A call that has to be made again costs more than room that stays empty; but what is freed at once beyond twice the
    # curve goes back to the system, and comes again page by page: half of the time of a run in which little happens.
    room, spare = most_fills(slots) + ROOM + len(curve) // BARS_A_TRADE, (np.empty(1, RUN), np.empty(slots, ORDER))
    parts: dict[int, list[tuple[Records, Records]]] = defaultdict(list)
    run_at = bar_at = 0
    while run_at < len(engines):
        trades, notes = np.empty(room, TRADE), np.empty(room, NOTE)
        first = run_at
        run_at, bar_at = call(
            runs, orders, setups, params, notes, trades, spans, *columns, curve, *spare, run_at, bar_at
        )
        _share_out(runs[first : run_at + 1], first, trades, notes, parts)
        room = min(2 * room, 1 << 20)
    if len(engines) > 1 and not (engines[0].run.base is runs and engines[0].orders.base is orders):
        for index, engine in enumerate(engines):
            engine.run = runs[index : index + 1]
            engine.orders = orders[spans[index]["orders"] : spans[index]["orders_end"]]
    ends = np.cumsum(lengths).tolist()
    return [
        _steps(parts.get(index, []), curve[begin:end])
        for index, (begin, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]


@dataclass(slots=True)
class Buffers:
    """Memory of runs whose trades and notes are not kept, for the next ones to use again. Of one thread alone."""

    curves: Column = field(default_factory=lambda: np.empty((0, PIECE)))
    trades: Records = field(default_factory=lambda: np.empty(0, TRADE))
    notes: Records = field(default_factory=lambda: np.empty(0, NOTE))

    def make_room(self, runs: int, records: int) -> None:
        if len(self.curves) < runs:
            self.curves = np.empty((runs, PIECE))
        if len(self.trades) < records:
            self.trades, self.notes = np.empty(records, TRADE), np.empty(records, NOTE)


class Abreast:
    """Runs of one kind, led side by side through the same candles as step() would each, for their state alone.

    A piece of the candles stays in the processor's cache until the last run has been through it.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.runs = _one([engine.run for engine in engines])
        orders, setups = _one([engine.orders for engine in engines]), _one([engine.setup for engine in engines])
        self._state = self.runs, orders, setups, _one([engine.vector for engine in engines])
        self._spans, self._call = _spans(engines), program(engines[0].kind)
        self._slots = max(len(engine.orders) for engine in engines)

    def through(
        self, candles: Candles, seen: Sequence[Seen], funding: Funding, buffers: Buffers
    ) -> Iterator[tuple[Column, int]]:
        """(equity, quote at each close, shape (runs, bars at least); bars) piece by piece.

        seen: of each run. The equity is overwritten by that of the next piece.
        """
        buffers.make_room(len(self.runs), most_fills(self._slots) + SMALL_ROOM)
        columns = _columns(self._spans, [Stretch(candles, one, funding) for one in seen])
        whole = self._spans.copy()
        for begin in range(0, len(candles), PIECE):
            bars = min(PIECE, len(candles) - begin)
            for name in ("bars", "signals") if len(seen[0]) else ("bars",):
                self._spans[name] = whole[name] + begin
                self._spans[f"{name}_end"] = self._spans[name] + bars
            self._spans["inputs"] = whole["inputs"] + begin * whole["width"]
            self._spans["curve"] = PIECE * np.arange(len(self.runs))
            self._step(columns, buffers)
            yield buffers.curves[: len(self.runs)], bars

    def _step(self, columns: tuple[Records, ...], buffers: Buffers) -> None:
        spare = np.empty(1, RUN), np.empty(self._slots, ORDER)
        run_at = bar_at = 0
        while run_at < len(self.runs):
            run_at, bar_at = self._call(
                *self._state, buffers.notes, buffers.trades, self._spans, *columns, buffers.curves.reshape(-1), *spare,
                run_at, bar_at,
            )  # fmt: skip
            self.runs["trades"] = self.runs["notes"] = 0


def _one(arrays: Sequence[Records], laid: Sequence[Laid] = ()) -> Records:
    """The arrays one after the other; a single one itself, so that it is changed in place."""
    if len(arrays) == 1:
        return arrays[0]
    for parts, whole in laid:
        if len(parts) == len(arrays) and all(map(operator.is_, parts, arrays)):
            return whole
    dtype = arrays[0].dtype
    if dtype.names is None:
        return np.concatenate(arrays)
    # As bytes: of records numpy compares the layouts anew for each array, and describes them for each memory view.
    return np.frombuffer(bytearray().join([array.tobytes() for array in arrays]), dtype)


def _spans(engines: Sequence[Engine]) -> Records:
    """Where each run finds its own orders and parameters."""
    spans = np.zeros(len(engines), SPAN)
    _place(spans, "orders", [len(engine.orders) for engine in engines])
    _place(spans, "params", [len(engine.vector) for engine in engines])
    return spans


def _columns(spans: Records, stretches: list[Stretch]) -> tuple[Records, ...]:
    """The columns of all stretches, each different one once; where each run finds its own is written into its span."""
    candles = _shared(spans, "bars", [stretch.candles for stretch in stretches])
    seen = _shared(spans, "signals", [stretch.seen for stretch in stretches])
    rates = _shared(spans, "funding", [stretch.funding for stretch in stretches])
    spans["width"] = [stretch.seen.inputs.shape[1] for stretch in stretches]
    sizes = {id(one): one.inputs.size for one in seen}
    starts = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    spans["inputs"] = [starts[id(stretch.seen)] for stretch in stretches]
    return (
        *(_one([getattr(one, name) for one in candles]) for name in ("time", "open", "high", "low", "close")),
        _one([one.signals for one in seen]),
        _one([one.inputs.reshape(-1) for one in seen]),
        _one([one.times for one in rates]),
        _one([one.rates for one in rates]),
    )


def _place(spans: Records, name: str, lengths: list[int]) -> None:
    """One after the other."""
    ends = np.cumsum(lengths)
    spans[name], spans[f"{name}_end"] = ends - lengths, ends


T = TypeVar("T", Candles, Seen, Funding)


def _shared(spans: Records, name: str, wanted: list[T]) -> list[T]:
    """The different ones of what the runs want, in the order in which they are laid out."""
    different = {id(one): one for one in wanted}
    begins = dict(zip(different, accumulate(map(len, different.values()), initial=0), strict=False))
    spans[name] = [begins[id(one)] for one in wanted]
    spans[f"{name}_end"] = spans[name] + [len(one) for one in wanted]
    return list(different.values())


def _share_out(
    runs: Records, first: int, trades: Records, notes: Records, parts: dict[int, list[tuple[Records, Records]]]
) -> None:
    """Give each run its part of the buffers, and empty them."""
    trade_ends, note_ends = np.cumsum(runs["trades"]), np.cumsum(runs["notes"])
    for index in np.flatnonzero(runs["trades"] + runs["notes"]).tolist():
        own_trades = trades[trade_ends[index] - runs["trades"][index] : trade_ends[index]]
        own_notes = notes[note_ends[index] - runs["notes"][index] : note_ends[index]]
        parts[first + index].append((own_trades, own_notes))
    runs["trades"] = runs["notes"] = 0


NO_TRADES, NO_NOTES = np.empty(0, TRADE), np.empty(0, NOTE)


def _steps(parts: list[tuple[Records, Records]], equity: Column) -> Steps:
    if not parts:
        return Steps(NO_TRADES, NO_TRADES, NO_NOTES, equity)
    trades, notes = (_one(column) for column in zip(*parts, strict=True))
    paid = trades["type"] == FUNDING
    return Steps(trades[~paid], trades[paid], notes, equity) if paid.any() else Steps(trades, NO_TRADES, notes, equity)
