"""What the chart knows of indicators: the registry's entries and their columns, as JSON."""

from __future__ import annotations

from functools import cache
from typing import Any

from dashboard import charts
from markets.indicators import INDICATORS, Indicator, compute
from markets.series import Candles


@cache
def known() -> dict[str, dict[str, Any]]:
    """name -> label, short (the label's first words), pane ("price" or "own") and warm_up in candles."""
    return {
        name: {"label": one.label, "short": name.upper(), "pane": one.pane, "warm_up": _warm_up(one)}
        for name, one in INDICATORS.items()
    }


def _warm_up(indicator: Indicator) -> int:
    """Candles to read before the window; after four times its own length a recursive one has forgotten its start."""
    return indicator.warm_up * (4 if indicator.recursive else 1)


def computed(name: str, candles: Candles, first: int) -> dict[str, Any]:
    """Columns of one indicator from row `first` on: output -> values, null while warming up."""
    outputs = compute(name, candles)
    return {output: charts.numbers(column[first:]) for output, column in outputs.items()}
