"""What kinds make of candles before the engine steps through them: they are shown those of their lead too.

The same in a backtest, on paper and live, and however the candles are cut: a kind that is shown its lead sees the same
in the rest (bots/rules/evaluate.py, markets/blocks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bots import forecasting
from bots.bars import STORED, Bars, last
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, Seen
from bots.kinds.contract import Kind
from markets.candles import Mark
from markets.series import Candles, Column

# Slugs of models, market id, timeframe in s, candles, where older ones come from -> the predictions of each model.
Columns = Callable[[tuple[str, ...], int, int, Candles, Bars], dict[str, Column]]


def observe(
    kind: Kind,
    params: Any,
    market_id: int,
    timeframe: int,
    candles: Candles,
    bars: Bars = STORED,
    columns: Columns = forecasting.columns,
) -> Seen:
    """What a kind sees in some of a market's candles (timeframe in s); nothing for kinds that do not look."""
    if kind.observe is None or not len(candles):
        return NOTHING_SEEN
    count = kind.lead(params, timeframe) if kind.lead else 0
    lead = bars.before(market_id, timeframe, int(candles.time[0]), count) if count else Candles.empty()
    whole = Candles.joined([lead, candles])
    predicted = columns(kind.columns(params), market_id, timeframe, whole, bars)
    return kind.observe(params, whole, timeframe, predicted)[len(lead) :]


class Observations:
    """What the kinds of a shard see. Runs with the same rules look once; a market's lead and predictions are loaded
    for its neighbours.

    Only the last are kept: thousands of markets' would not fit.
    """

    def __init__(self, bars: Bars) -> None:
        self.waits = bars.waits
        self._bars = bars
        self._seen: dict[tuple[str, Any, Mark], Seen] = {}
        self._lead: tuple[tuple[int, int, int], int, Candles] = ((0, 0, 0), 0, Candles.empty())
        self._predicted: tuple[Any, dict[str, Column]] = (None, {})

    def of(self, engine: Engine, mark: Mark, candles: Candles) -> Seen:
        """What an engine's kind sees in the candles after a mark."""
        if engine.kind.observe is None:
            return NOTHING_SEEN
        key = (engine.kind.slug, engine.params, mark)
        if key not in self._seen:
            self._seen[key] = observe(engine.kind, engine.params, mark[0], mark[1], candles, self, self.columns)
        return self._seen[key]

    def after(self, marks: Sequence[Mark]) -> dict[Mark, Candles]:
        return self._bars.after(marks)

    def before(self, market_id: int, timeframe: int, end: int, count: int) -> Candles:
        """From the lead that is kept, when it is long enough."""
        key = (market_id, timeframe, end)
        if self._lead[0] != key or self._lead[1] < count:
            self._lead = (key, count, self._bars.before(*key, count))
        return last(self._lead[2], count)

    def columns(
        self, models: tuple[str, ...], market_id: int, timeframe: int, candles: Candles, bars: Bars
    ) -> dict[str, Column]:
        """The predictions of each model; those that are kept, when they are of the same candles."""
        key = (models, market_id, timeframe, len(candles), int(candles.time[0]))
        if self._predicted[0] != key:
            # The lead of a model is another one: asking past the kept one leaves it kept.
            predicted = forecasting.columns(models, market_id, timeframe, candles, self._bars)
            self._predicted = (key, predicted)
        return self._predicted[1]
