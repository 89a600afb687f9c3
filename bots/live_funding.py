"""Funding of live runs: the exchange pays it; a run waits with a candle until its rate is known, as on paper."""

from __future__ import annotations

import numpy as np

from bots.bars import STORED
from bots.funding import await_rates
from bots.models import Event, Run
from bots.outcomes import UNPAID, event_row
from bots.records import moment


def last_candle(run: Run, synced_to: int) -> int:
    """Open time of the last candle up to `synced_to` that a run on a swap may hear of, ms UTC.

    When a rate is waited for no longer, the run is told that nothing was paid for its position.
    """
    mark = run.market_id, run.timeframe, run.bar_time
    candles = STORED.after([mark])[mark]
    there = candles[: int(np.searchsorted(candles.time, synced_to, side="right"))]
    seen, unknown = await_rates({mark: there}, [run.market_id])
    if mark in unknown and run.position:
        _tell_unpaid(run, unknown[mark])
    return int(seen[mark].time[-1]) if len(seen[mark]) else run.bar_time


def _tell_unpaid(run: Run, settled: int) -> None:
    """Once, however often it is asked before the run has heard of that candle."""
    level, code, *_ = UNPAID
    if not Event.objects.filter(run=run, code=code, level=level, time=moment(settled)).exists():
        event_row(run, UNPAID, moment(settled)).save()
