"""What a bot's settings promise before any candle: the money it needs, and what a cycle costs and earns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import REFUSED_ALLOCATION, REFUSED_AMOUNT, REFUSED_COST, REFUSED_MARGIN, Terms
from bots.kinds.contract import Kind
from bots.kinds.grid.lines import line_at
from bots.trials import flat_candle, unseen
from markets.precision import FINE, floor_to_step, order_fault
from markets.series import Candles

REFUSED_FOR_MONEY: Final = (REFUSED_AMOUNT, REFUSED_COST, REFUSED_ALLOCATION, REFUSED_MARGIN)
DOUBLINGS: Final = 60
PLENTY: Final = 1e6
NEAR: Final = 1.002  # a least allocation is found to a fifth of a percent


@dataclass(frozen=True, slots=True)
class Cycle:
    """A purchase and its sale, as fractions of what was paid: fees, and what is left after them; least and most."""

    fees: tuple[float, float]
    profit: tuple[float, float] | None


@lru_cache(maxsize=256)
def least_allocation(kind: Kind, params: Any, terms: Terms, price: float | None = None) -> float | None:
    """Quote money with which every order reaches the market's minimum, a little above the least, in round digits.

    price: at which it would start, quote; with this money none of its orders there is refused then, rounded down to the
    lot as they are. None when more money would not help, or the kind does not work on such a market. Kinds with prices
    check thousands of lines, so answers are kept.
    """
    if kind.margin and not terms.margin:
        return None
    least = _least(1.0, lambda money: _fits(kind, params, terms, money))
    if least is None or price is None:
        return least
    start = getattr(params, "trigger_price", None) or price
    order = max(least, terms.min_cost, max(terms.min_amount, terms.lot) * start)
    if _begins(kind, params, terms, start, least) or not _begins(kind, params, terms, start, order * PLENTY):
        return least  # what is refused with any money is not so for want of it
    return _least(order, lambda money: money >= least and _begins(kind, params, terms, start, money))


def _least(high: float, enough: Callable[[float], bool]) -> float | None:
    """An amount that is enough, near the least one that is; None when none is."""
    tries = 0
    while not enough(high):
        high, tries = high * 2.0, tries + 1
        if tries > DOUBLINGS:
            return None
    low = high / 2.0
    while tries == 0 and enough(low) and low > 1e-9:
        high, low = low, low / 2.0
    while high / low > NEAR:
        middle = (high * low) ** 0.5
        high, low = (middle, low) if enough(middle) else (high, middle)
    return next(money for money in _rounded(high) if enough(money))


def _rounded(money: float) -> Iterator[float]:
    """Amounts from this one on, as few digits as are shown; rounding orders down makes some of them too little."""
    while True:
        step = 10.0 ** -digits_shown(money)
        money = math.ceil(money / step) * step
        yield round(money, digits_shown(money))
        money *= NEAR


def digits_shown(money: float) -> int:
    """Digits behind the point of a least allocation."""
    return 2 if money >= 1.0 else 8


def _fits(kind: Kind, params: Any, terms: Terms, allocation: float) -> bool:
    try:
        return "allocation" not in kind.check(params, terms, allocation)
    except (ValueError, OverflowError):  # a ParamsError, or figures that are not finite
        return False


def _begins(kind: Kind, params: Any, terms: Terms, price: float, allocation: float) -> bool:
    """Whether nothing that it places at a price and on the way to its lowest one is too small or cannot be paid, nor
    its first position, as far as that is known."""
    candles, low = flat_candle(0, price), getattr(params, "lower", price)
    if low < price and kind.observe is None:
        candles = Candles.from_rows([(0, price, price, price, price, 0.0), (1, price, price, low, low, 0.0)])
    engine = Engine.new(kind, params, terms, allocation)
    told = step(engine, candles, unseen(kind)).notes
    if np.isin(told["code"], REFUSED_FOR_MONEY).any():
        return False
    first = kind.first_order(params, terms, allocation) if kind.first_order else 0.0
    amount = float(floor_to_step(first / price, terms.lot))
    return not first or order_fault(amount, price, terms.min_amount, terms.min_cost) == FINE


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
