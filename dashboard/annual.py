"""Figures of a year, which say something only of periods that are long enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LEAST_DAYS: Final = 30
TOLD: Final = f"Told from {LEAST_DAYS} days on: of fewer it would be chance."
# A few good days at the pace of a year are no forecast, and how a few days vary is no risk of a year.
FIGURES: Final = ("annual_return", "calmar", "volatility", "sharpe", "sortino")


def told(found: Mapping[str, Any], days: float) -> dict[str, Any]:
    """Metrics by name as they are shown: of fewer days than LEAST_DAYS those of a year are None."""
    return {name: None if days < LEAST_DAYS and name in FIGURES else value for name, value in found.items()}
