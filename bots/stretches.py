"""What the runs of a shard are led through: candles, what their kinds see in them, the funding that is due.

Whatever several runs need is made once and shared.
"""

from __future__ import annotations

from collections.abc import Sequence

from bots.bars import Bars
from bots.engine.run import Engine
from bots.engine.simulate import NO_FUNDING, Stretch
from bots.funding import await_rates, rates_of
from bots.models import Run
from bots.observations import Observations
from markets.candles import Mark
from markets.series import Candles


def mark_of(run: Run) -> Mark:
    return run.market_id, run.timeframe, run.bar_time


class Stretches:
    """Of a shard of claimed runs."""

    def __init__(self, shard: Sequence[Run], bars: Bars) -> None:
        markets = {run.market_id: run for run in shard}.values()
        swaps = {run.market_id for run in markets if run.market.type == "swap"}
        # Before the runs have seen their stretches, which moves them on.
        self._marks = {run.id: mark_of(run) for run in shard}
        new = bars.after(sorted(set(self._marks.values())))
        self._candles, self._unknown = await_rates(new, swaps) if bars.waits else (new, {})
        self._funding = {mark: rates_of(mark, candles) for mark, candles in self._candles.items() if mark[0] in swaps}
        self._observations = Observations(bars)
        self._plain = {
            mark for mark, candles in self._candles.items() if mark not in self._unknown and _is_gapless(mark, candles)
        }

    def of(self, run: Run, engine: Engine) -> Stretch:
        """Maybe an empty one."""
        mark = self._marks[run.id]
        candles = self._candles[mark]
        seen = self._observations.of(engine, mark, candles)
        return Stretch(candles, seen, self._funding.get(mark, NO_FUNDING))

    def is_plain(self, run: Run) -> bool:
        """False where a candle or a rate is missing, which is told."""
        return self._marks[run.id] in self._plain

    def unknown_rate(self, run: Run) -> int | None:
        """The first funding, ms UTC, that was not waited for any longer."""
        return self._unknown.get(self._marks[run.id])


def _is_gapless(mark: Mark, candles: Candles) -> bool:
    # They ascend and lie on the timeframe's grid: where none is missing, the last one is as far away as there are some.
    return not len(candles) or bool(candles.time[-1] - mark[2] == len(candles) * mark[1] * 1000)
