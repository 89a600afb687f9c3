"""The engines of a claimed shard: the saved states of a kind's runs side by side, as the compiled loop takes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bots.claims import constants_of, restored
from bots.engine.run import Engine, Records
from bots.engine.simulate import Laid
from bots.engine.types import NEW, ORDER, RUN, STATE_VERSION
from bots.models import Run

# Whatever the state or the figures of one run are, the others go on.
FAULTS = (ValueError, ArithmeticError, LookupError, TypeError)
_VERSION = STATE_VERSION.to_bytes(8, "little")
# Where time and price lie in a saved state, side by side: all that a quiet candle changes.
_BEGIN, _END = RUN.fields["time"][1], RUN.fields["price"][1] + 8  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Runs of one kind, and what was stored of them."""

    runs: list[Run]
    states: bytes
    orders: bytes
    now: Records  # RUN, one a run
    wanted: Records  # ORDER, those of a run behind those of the one before
    ends: list[int]

    def untouched(self) -> list[Run]:
        """Runs in which nothing but the time and the price changed."""
        before, after = (
            np.frombuffer(data, np.uint8).reshape(len(self.runs), -1) for data in (self.states, self.now.data)
        )
        differs = before != after
        differs[:, _BEGIN:_END] = False
        moved = np.frombuffer(self.orders, np.uint8) != np.frombuffer(self.wanted.data, np.uint8)
        begins = ORDER.itemsize * np.array([0, *self.ends[:-1]])
        same = ~(differs.any(axis=1) | np.logical_or.reduceat(moved, begins))
        return [self.runs[index] for index in np.flatnonzero(same)]


class Batch:
    """engines and faults by the number of the run; laid: for step_many()."""

    def __init__(self, shard: Sequence[Run]) -> None:
        self.engines: dict[int, Engine] = {}
        self.faults: dict[int, Exception] = {}
        self.laid: list[Laid] = []
        self._rows: list[_Rows] = []
        plain: dict[str, list[tuple[Run, Engine]]] = defaultdict(list)
        for run in shard:
            try:
                fresh = constants_of(run)
                if _is_plain(run, fresh):
                    plain[run.kind].append((run, fresh))
                else:
                    self.engines[run.id] = restored(fresh, run)
            except FAULTS as error:
                self.faults[run.id] = error
        for pairs in plain.values():
            self._lay(pairs)

    def _lay(self, pairs: list[tuple[Run, Engine]]) -> None:
        runs = [run for run, _ in pairs]
        states, orders = b"".join(run.state for run in runs), b"".join(run.orders for run in runs)
        now, wanted = np.frombuffer(bytearray(states), RUN), np.frombuffer(bytearray(orders), ORDER)
        _stand(now, runs)
        ends = np.cumsum([len(fresh.orders) for _, fresh in pairs]).tolist()
        for index, (begin, end, (run, fresh)) in enumerate(zip([0, *ends], ends, pairs, strict=False)):
            self.engines[run.id] = Engine(
                fresh.kind, fresh.params, fresh.setup, fresh.vector, now[index : index + 1], wanted[begin:end]
            )
        engines = [self.engines[run.id] for run in runs]
        self.laid += [([engine.run for engine in engines], now), ([engine.orders for engine in engines], wanted)]
        self._rows.append(_Rows(runs, states, orders, now, wanted, ends))

    def untouched(self) -> set[int]:
        """Numbers of runs that stepping left as they were; of the others it is not known."""
        return {run.id for rows in self._rows for run in rows.untouched()}


def _is_plain(run: Run, fresh: Engine) -> bool:
    """True for a state of the layout of today."""
    state, orders = run.state, run.orders
    return bool(
        len(state) == RUN.itemsize and state[:8] == _VERSION and len(orders) == ORDER.itemsize * len(fresh.orders) > 0
    )


def _stand(now: Records, runs: Sequence[Run]) -> None:
    """Engine.stand_at() for all: quiet candles moved the columns of the rows alone."""
    times = np.array([run.bar_time for run in runs], np.int64)
    prices = np.array([np.nan if run.last_price is None else run.last_price for run in runs])
    known = ~np.isnan(prices) & (now["status"] != NEW)
    now["time"][known], now["price"][known] = times[known], prices[known]
