"""Everything that writes about markets, one noun a module."""

from __future__ import annotations

from markets.services.feeds import sync
from markets.services.funding import sync_funding
from markets.services.indicators import SOURCE as INDICATOR_SOURCE
from markets.services.indicators import indicator_columns
from markets.services.listing import add_exchange, sync_markets
from markets.services.prices import refresh_tickers
from markets.services.quotes import refresh_listed, refresh_quotes
from markets.services.repair import repair_gaps
from markets.services.retention import apply_retention
from markets.services.snapshots import compute_indicators, recompute_indicators, stale_shards

__all__ = [
    "INDICATOR_SOURCE",
    "add_exchange",
    "apply_retention",
    "compute_indicators",
    "indicator_columns",
    "recompute_indicators",
    "refresh_listed",
    "refresh_quotes",
    "refresh_tickers",
    "repair_gaps",
    "stale_shards",
    "sync",
    "sync_funding",
    "sync_markets",
]
