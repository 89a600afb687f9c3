"""What the chart knows of indicators: the registry's entries and their columns, as JSON."""

from __future__ import annotations

from functools import cache
from typing import Any

from dashboard import charts
from markets.indicators import INDICATORS, Indicator, compute
from markets.series import Candles

# Where traders look whether a market is bought or sold too far; and digits of what is not measured in prices.
LEVELS = {"rsi": (30, 70), "stochastic": (20, 80), "cci": (-100, 100), "adx": (25,)}
DIGITS = {"rsi": 1, "stochastic": 1, "cci": 1, "adx": 1, "obv": 0}


@cache
def known() -> dict[str, dict[str, Any]]:
    """name -> label, pane ("price" or "own"), warm_up in candles, levels to be drawn, digits (None: of a price)."""
    return {
        name: {
            "label": one.label, "pane": one.pane, "warm_up": _warm_up(one),
            "levels": LEVELS.get(name, ()), "digits": DIGITS.get(name),
        }
        for name, one in INDICATORS.items()
    }  # fmt: skip


def _warm_up(indicator: Indicator) -> int:
    """Candles to read before the window; after four times its own length a recursive one has forgotten its start."""
    return indicator.warm_up * (4 if indicator.recursive else 1)


def computed(name: str, candles: Candles, first: int) -> dict[str, Any]:
    """Columns of one indicator from row `first` on: output -> values, null while warming up."""
    outputs = compute(name, candles)
    return {output: charts.numbers(column[first:]) for output, column in outputs.items()}
