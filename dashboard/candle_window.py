"""The stretch of candles that a chart asks for, put together from longer or shorter timeframes when need be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from dashboard.indicators import computed, known
from markets import candles, series
from markets.models import Market
from markets.series import TIMEFRAMES, Candles
from markets.services import indicator_columns

# Candles read for one answer, before resampling: 60 ms or so; 416 days of minutes.
MOST_READ = 600_000
FEW_READ = 20_000


def offered(stored: Collection[int]) -> dict[str, int]:
    """Timeframes (name -> seconds) that the stored ones can give; all of them while nothing is stored."""
    if not stored:
        return TIMEFRAMES
    return {name: length for name, length in TIMEFRAMES.items() if any(length % one == 0 for one in stored)}


def load(market_id: int, timeframe: int, stored: Collection[int], before: int | None, limit: int) -> Candles:
    """The last `limit` candles before a time (ms UTC), ascending; fewer when making them would read too much.

    stored: timeframes in seconds that the market has feeds of. Without the wanted one, the longest that divides it
    is resampled.
    """
    parts = [one for one in stored if timeframe % one == 0]
    source = max(parts, default=timeframe)
    if source == timeframe:
        return candles.load(market_id, source, end=before and series.open_time(before, timeframe), limit=limit)
    return _resampled(market_id, source, timeframe, before, limit)


def _resampled(market_id: int, source: int, timeframe: int, before: int | None, limit: int) -> Candles:
    # A boundary inside a candle would cut it.
    last = candles.last_time(market_id, source) if before is None else None
    end = series.open_time(before, timeframe) if before is not None else (last or 0) + source * 1000
    read = min((limit + 1) * (timeframe // source), MOST_READ)
    if read > FEW_READ:
        # Rows are found by time at once, and counted down to one by one; the count matters only where there are holes.
        start = end - read * source * 1000
        loaded = candles.load(market_id, source, start, end)
        found = series.resample(loaded, source, timeframe)
        # Without a hole the same candles would be read once more.
        if len(loaded) == read or len(found) >= limit or not len(candles.load(market_id, source, end=start, limit=1)):
            return found[-limit:]
    return series.resample(candles.load(market_id, source, end=end, limit=read), source, timeframe)[-limit:]


@dataclass(frozen=True, slots=True)
class Window:
    """Which candles are wanted: the last `limit` in [after, before), ms UTC; timeframe in seconds."""

    timeframe: int
    limit: int
    before: int | None = None
    after: int | None = None


def with_indicators(
    market: Market, stored: Collection[int], window: Window, names: Collection[str]
) -> tuple[Candles, dict[str, dict[str, Any]]]:
    """Candles of a window, and indicator -> output -> values at each of them, null while warming up."""
    # Candles before the window warm the indicators up, so that a line does not depend on where the window starts.
    warm_up = max((known()[name]["warm_up"] for name in names), default=0)
    loaded = load(market.pk, window.timeframe, stored, window.before, window.limit + warm_up)
    first = max(len(loaded) - window.limit, 0)
    if window.after is not None:
        first = max(first, int(loaded.time.searchsorted(window.after)))
    if window.before is None and window.timeframe in stored and first < len(loaded):
        last = int(loaded.time[-1])
        indicators = indicator_columns(market, window.timeframe, names, len(loaded) - first, last)
    else:
        # The worker keeps the newest candles of stored timeframes; a scroll into the past is computed here.
        indicators = {name: computed(name, loaded, first) for name in names}
    return loaded[first:], indicators
