"""The stretch of candles that a chart asks for, put together from longer or shorter timeframes when need be."""

from __future__ import annotations

from collections.abc import Collection

from markets import candles, series
from markets.series import TIMEFRAMES, Candles

# Candles read for one answer, before resampling: 20 ms or so; 41 days of minutes.
MOST_READ = 60_000


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
    ratio = timeframe // source
    if before is not None:
        # A boundary inside a candle would cut it.
        before = series.open_time(before, timeframe)
    read = min(limit * ratio + ratio, MOST_READ) if ratio > 1 else limit
    return series.resample(candles.load(market_id, source, end=before, limit=read), source, timeframe)[-limit:]
