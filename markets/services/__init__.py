"""Everything that writes about markets, one noun a module."""

from __future__ import annotations

from markets.services.feeds import apply_retention, sync
from markets.services.funding import sync_funding
from markets.services.indicators import compute_indicators, indicator_columns
from markets.services.listing import sync_markets
from markets.services.prices import refresh_tickers

__all__ = [
    "apply_retention",
    "compute_indicators",
    "indicator_columns",
    "refresh_tickers",
    "sync",
    "sync_funding",
    "sync_markets",
]
