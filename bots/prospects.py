"""What a bot's settings promise before any candle: the money it needs, and what a cycle costs and earns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from bots.engine.types import Terms
from bots.kinds.contract import Kind
from bots.kinds.grid.lines import line_at

DOUBLINGS: Final = 60
NEAR: Final = 1.002  # a least allocation is found to a fifth of a percent


@dataclass(frozen=True, slots=True)
class Cycle:
    """A purchase and its sale, as fractions of what was paid: fees, and what is left after them; least and most."""

    fees: tuple[float, float]
    profit: tuple[float, float] | None


@lru_cache(maxsize=256)
def least_allocation(kind: Kind, params: Any, terms: Terms) -> float | None:
    """Quote money with which every order reaches the market's minimum, a little above the least.

    None when more money would not help, or the kind does not work on such a market. Kinds with prices check thousands
    of lines, so answers are kept.
    """
    if kind.margin and not terms.margin:
        return None
    high, tries = 1.0, 0
    while not _enough(kind, params, terms, high):
        high, tries = high * 2.0, tries + 1
        if tries > DOUBLINGS:
            return None
    low = high / 2.0
    while tries == 0 and _enough(kind, params, terms, low) and low > 1e-9:
        high, low = low, low / 2.0
    while high / low > NEAR:
        middle = (high * low) ** 0.5
        high, low = (middle, low) if _enough(kind, params, terms, middle) else (high, middle)
    return high


def _enough(kind: Kind, params: Any, terms: Terms, allocation: float) -> bool:
    try:
        return "allocation" not in kind.check(params, terms, allocation)
    except (ValueError, OverflowError):  # a ParamsError, or figures that are not finite
        return False


def cycle(params: Any, terms: Terms) -> Cycle:
    """Of kinds with price lines between each two of them; of others the two fees of a round trip alone."""
    dearest = max(terms.maker, terms.taker)
    prices = _lines(params, terms.tick)
    if len(prices) < 2:
        return Cycle((terms.maker + terms.taker, 2.0 * dearest), None)
    lower, upper = prices[:-1], prices[1:]
    fees = terms.maker * (lower + upper) / lower
    profit = (upper - lower) / lower - fees
    return Cycle((float(fees.min()), float(fees.max())), (float(profit.min()), float(profit.max())))


def _lines(params: Any, tick: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Prices of the lines of a grid, ascending; of an infinity grid two neighbours; none for other kinds."""
    if hasattr(params, "lines") and hasattr(params, "upper"):
        cells, geometric = params.lines - 1, params.spacing == "geometric"
        return np.array(
            [line_at(params.lower, params.upper, cells, geometric, float(n), tick) for n in range(params.lines)]
        )
    if hasattr(params, "grid_profit"):
        return np.array([params.lower, params.lower * (1.0 + params.grid_profit / 100.0)])
    return np.empty(0)
