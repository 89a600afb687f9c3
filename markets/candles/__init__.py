"""The only door to stored candles: columns in, columns out, by binary COPY."""

from __future__ import annotations

from markets.candles.reading import Mark, extent, gaps, last_time, last_times, load, load_after, rows_query
from markets.candles.staging import packed, stage
from markets.candles.writing import Part, forget, forget_strays, merge, upsert, upsert_many

__all__ = [
    "Mark",
    "Part",
    "extent",
    "forget",
    "forget_strays",
    "gaps",
    "last_time",
    "last_times",
    "load",
    "load_after",
    "merge",
    "packed",
    "rows_query",
    "stage",
    "upsert",
    "upsert_many",
]
