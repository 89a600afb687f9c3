"""What a grid is asked for: its parameters, where its lines are, and which combinations cannot work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bots.engine.types import Terms
from bots.kinds import conditions
from bots.kinds.grid.lines import line_at
from bots.kinds.parameters import Problems, parameter
from bots.kinds.price_lines import (
    lines_parameter,
    lower_parameter,
    size_parameter,
    spacing_parameter,
    upper_parameter,
)
from markets.precision import floor_to_step
from markets.series import Column

MOST_CELLS: Final = 999


@dataclass(frozen=True)
class Lines:
    """The lines and the orders on them."""

    lower: float = lower_parameter()
    upper: float = upper_parameter()
    lines: int = lines_parameter(most=1000)
    spacing: str = spacing_parameter()
    size: str = size_parameter()
    reinvest: bool = parameter(
        "flag", "Reinvest", "Each sale buys again with all it brought, so orders grow by their profits.", default=False
    )
    active_buys: int = parameter(
        "whole", "Active buys", "So many buys rest at once, nearest the price; 0 is all.", least=0, most=1000, default=0
    )
    active_sells: int = parameter(
        "whole",
        "Active sells",
        "So many sells rest at once, nearest the price; 0 is all.",
        least=0,
        most=1000,
        default=0,
    )
    trailing_up: bool = parameter(
        "flag",
        "Trailing up",
        "One step above the top the grid moves up a line: a buy at the old top, the lowest buy is cancelled.",
        default=False,
    )
    trailing_up_limit: float | None = parameter(
        "price",
        "Trailing up limit",
        "The top line never goes above it; empty is no limit.",
        unit="quote",
        least=1e-12,
        default=None,
    )
    trailing_down: bool = parameter(
        "flag",
        "Trailing down",
        "One step below the bottom it buys one grid at market, with a sell a line up. Money is put aside for it.",
        default=False,
    )
    trailing_down_stop: float | None = parameter(
        "price",
        "Stop trailing down",
        "No line below it; money for all lines down to it is put aside.",
        unit="quote",
        least=1e-12,
        default=None,
    )


@dataclass(frozen=True)
class Params(conditions.Conditions, Lines):
    """Fields of the bases from the last to the first: lines, then conditions."""


def price_of(params: Params, number: int, tick: float) -> float:
    """Price of a line, counted from the lower price upwards; lines outside the range continue it."""
    return float(
        line_at(params.lower, params.upper, params.lines - 1, params.spacing == "geometric", float(number), tick)
    )


def lines_below(params: Params) -> int:
    """How many lines trailing down may add."""
    stop = params.trailing_down_stop
    if not params.trailing_down or stop is None or stop >= params.lower or params.upper <= params.lower:
        return 0
    if params.spacing == "arithmetic":
        count = (params.lower - stop) / (params.upper - params.lower) * (params.lines - 1)
    else:
        count = math.log(params.lower / stop) / math.log(params.upper / params.lower) * (params.lines - 1)
    return math.floor(count + 1e-9)


def table(params: Params, tick: float) -> Column:
    """Prices of the lines, ascending, rounded to the tick; those that trailing down may add come first."""
    return np.array([price_of(params, number, tick) for number in range(-lines_below(params), params.lines)])


def highest_paying(params: Params, terms: Terms) -> float:
    """Where the top line may go at most: equal steps are worth less the higher they are, until fees take them.

    A cell from p to p + d pays while d > maker (2 p + d).
    """
    if params.spacing == "geometric" or terms.maker <= 0.0:
        return math.inf
    step = (params.upper - params.lower) / (params.lines - 1)
    safe = step - terms.tick  # rounding may take a tick
    return max(safe * (1.0 - terms.maker) / (2.0 * terms.maker) + step, params.upper)


def vector(params: Params, terms: Terms) -> Column:
    prices = table(params, terms.tick)
    limit = min(params.trailing_up_limit or math.inf, highest_paying(params, terms))
    numbers = [
        *conditions.head(params, len(prices) - 1),
        params.lines,
        params.size == "quote",
        params.reinvest,
        params.active_buys or len(prices),
        params.active_sells or len(prices),
        limit if params.trailing_up else 0.0,
        params.spacing == "geometric",
        params.lower,
        params.upper,
        lines_below(params),
    ]
    return np.concatenate([np.array(numbers, np.float64), prices])


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    if params.upper <= params.lower:
        return {"upper": f"upper must be above lower ({params.lower:.15g}), not {params.upper:.15g}."}
    problems = _trailing_problems(params, terms)
    lowest, highest = ("lower", params.lower), ("upper", params.upper)
    if params.trailing_down_stop and not problems:
        lowest = ("trailing_down_stop", params.trailing_down_stop)
    if params.trailing_up_limit and not problems:
        highest = ("trailing_up_limit", params.trailing_up_limit)
    problems |= conditions.check(params, allocation, lowest, highest)
    if lines_below(params) + params.lines - 1 > MOST_CELLS:
        return problems | {
            "trailing_down_stop": f"trailing_down_stop must leave at most {MOST_CELLS} grids, "
            f"not {lines_below(params) + params.lines - 1}."
        }
    prices = table(params, terms.tick)
    sentence = _lines_problem(params, prices, terms)
    if sentence:
        return problems | {"lines": sentence}
    return problems | _money_problem(params, prices, terms, allocation)


def _trailing_problems(params: Params, terms: Terms) -> Problems:
    return _trailing_up_problem(params, terms) | _trailing_down_problem(params, terms)


def _trailing_up_problem(params: Params, terms: Terms) -> Problems:
    limit = params.trailing_up_limit
    if not params.trailing_up:
        return {} if limit is None else {"trailing_up_limit": "trailing_up_limit needs trailing_up."}
    if params.size != "quote":
        return {
            "trailing_up": "trailing_up needs size quote: an equal amount of base costs more at every line up, and "
            "nothing is put aside for that."
        }
    first, last = price_of(params, params.lines, terms.tick), highest_paying(params, terms)
    if limit is not None and limit < first:
        return {
            "trailing_up_limit": f"trailing_up_limit must be at least {first:.15g}, a line above upper, "
            f"not {limit:.15g}."
        }
    if limit is not None and limit > last:
        return {
            "trailing_up_limit": f"trailing_up_limit must be at most {last:.6g}, not {limit:.15g}: above that a step "
            f"is below twice the fee {100 * terms.maker:.3g} %."
        }
    return {}


def _trailing_down_problem(params: Params, terms: Terms) -> Problems:
    stop = params.trailing_down_stop
    if not params.trailing_down:
        return {} if stop is None else {"trailing_down_stop": "trailing_down_stop needs trailing_down."}
    if stop is None:
        return {
            "trailing_down_stop": "trailing_down_stop is needed with trailing_down: money is put aside for every line "
            "down to it."
        }
    first = price_of(params, -1, terms.tick)
    if stop > first:
        return {
            "trailing_down_stop": f"trailing_down_stop must be at most {first:.15g}, a line below lower, "
            f"not {stop:.15g}."
        }
    return {}


def _fee(params: Params, terms: Terms) -> float:
    """What both orders of a cycle may pay. Those that did not rest, or spend what a sale brought, may pay as taker."""
    crosses = params.active_buys or params.active_sells or params.reinvest or params.trailing_down
    return max(terms.maker, terms.taker) if crosses else terms.maker


def _lines_problem(params: Params, prices: Column, terms: Terms) -> str:
    """A sentence when lines fall together or a cycle cannot pay its two fees."""
    steps, fee = np.diff(prices), _fee(params, terms)
    if prices[0] <= 0.0 or steps.min() <= 0.0:
        return f"lines must leave at least one tick ({terms.tick:.15g}) between two lines; {params.lines} are too many."
    # Net profit of a cell from p to p + d: d − fee (2 p + d). The lowest rate is what matters.
    lower, upper = prices[:-1], prices[1:]
    worst = int(np.argmin((steps - fee * (lower + upper)) / lower))
    if steps[worst] <= fee * (lower[worst] + upper[worst]):
        step = 100 * steps[worst] / lower[worst]
        return (
            f"lines: a step of {step:.3g} % is below twice the fee {100 * fee:.3g} %: "
            f"every cycle would lose; {params.lines} lines are too many for this range."
        )
    return ""


def _money_problem(params: Params, prices: Column, terms: Terms, allocation: float) -> Problems:
    """A sentence when the smallest order would be below what the market takes."""
    fee = 1.0 + max(terms.maker, terms.taker)
    cells = prices[:-1]
    size = allocation / (cells.sum() * fee) if params.size == "base" else allocation / (len(cells) * fee)
    # Orders of equal quote hold less base the higher the grid trails.
    limit = params.trailing_up_limit if params.size == "quote" else None
    dearest = np.append(cells, limit) if limit else cells
    amounts = np.full(len(cells), size) if params.size == "base" else size / dearest
    least = max(terms.min_amount, terms.lot)
    rounded = [floor_to_step(amount, terms.lot) for amount in amounts]
    smallest, cheapest = min(rounded), min(a * p for a, p in zip(rounded, dearest, strict=True))
    if smallest > 0.0 and smallest >= least and cheapest >= terms.min_cost:
        return {}
    factor = max(least / amounts.min(), terms.min_cost / (amounts * dearest).min())
    # One more lot an order pays for rounding down.
    needed = allocation * factor + len(cells) * terms.lot * max(float(prices[-1]), float(dearest[-1]))
    return {
        "allocation": f"allocation must be about {needed:.6g} for {len(cells)} grids that reach the market's "
        f"minimum order (amount {least:.15g}, value {terms.min_cost:.15g}), not {allocation:.15g}."
    }
