"""The parameters of a futures grid, and what does not fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bots.engine.types import Terms
from bots.kinds.futures_grid.figures import figures, fullest
from bots.kinds.futures_grid.layout import OWN_SLOTS
from bots.kinds.margin import leverage_parameter, leverage_problem
from bots.kinds.parameters import Problems, parameter
from bots.kinds.price_lines import (
    lines_parameter,
    lower_parameter,
    size_parameter,
    spacing_parameter,
    upper_parameter,
)
from markets.precision import round_to_step
from markets.series import Column

DIRECTIONS: Final = {"long": 1, "short": -1, "neutral": 0}


@dataclass(frozen=True, slots=True)
class Params:
    lower: float = lower_parameter()
    upper: float = upper_parameter()
    lines: int = lines_parameter(most=500)
    spacing: str = spacing_parameter()
    direction: str = parameter(
        "choice",
        "Direction",
        "Long buys and sells again, and never holds a short; short is its mirror; neutral buys below the price it "
        "started at and sells above it.",
        choices=(("long", "Long"), ("short", "Short"), ("neutral", "Neutral")),
        default="neutral",
    )
    leverage: float = leverage_parameter()
    size: str = size_parameter()
    open_position: bool = parameter(
        "flag",
        "Open a position at the start",
        "Long and short: enter the grids that the price has passed at market; else they wait for it to come back.",
        default=True,
    )
    trigger_price: float | None = parameter(
        "price", "Trigger price", "Wait for this price before starting.", unit="quote", least=1e-12, default=None
    )
    stop_loss: float | None = parameter(
        "price",
        "Stop loss",
        "End the bot at this price: below the grid, above it for a short one.",
        unit="quote",
        least=1e-12,
        default=None,
    )
    upper_stop_loss: float | None = parameter(
        "price", "Upper stop loss", "Neutral: end the bot above the grid.", unit="quote", least=1e-12, default=None
    )
    take_profit: float | None = parameter(
        "price",
        "Take profit",
        "End the bot at this price: above a long grid, below a short one.",
        unit="quote",
        least=1e-12,
        default=None,
    )


def lines_of(params: Params, tick: float) -> Column:
    """Prices of the lines, ascending, rounded to the tick.

    Arithmetic p_i = L + i (U − L) / n, geometric p_i = L (U / L)^(i / n), i = 0 … n, n = lines − 1.
    """
    part = np.arange(params.lines) / (params.lines - 1)
    if params.spacing == "arithmetic":
        prices = params.lower + (params.upper - params.lower) * part
    else:
        prices = params.lower * (params.upper / params.lower) ** part
    return np.array([round_to_step(price, tick) for price in prices])


def slots(params: Params) -> int:
    return params.lines - 1 + OWN_SLOTS


def vector(params: Params, terms: Terms) -> Column:
    below, above = params.stop_loss, params.upper_stop_loss or params.take_profit
    if params.direction == "short":
        below, above = params.take_profit, params.stop_loss
    head = [
        params.lines,
        params.size == "quote",
        DIRECTIONS[params.direction],
        params.open_position and params.direction != "neutral",
        params.trigger_price or 0.0,
        below or 0.0,
        above or 0.0,
    ]
    return np.concatenate([np.array(head, np.float64), lines_of(params, terms.tick)])


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    if params.upper <= params.lower:
        return {"upper": f"upper must be above lower ({params.lower:.15g}), not {params.upper:.15g}."}
    problems = leverage_problem(params.leverage, terms) | _exit_problems(params)
    sentence = _lines_problem(params, lines_of(params, terms.tick), terms)
    if sentence:
        problems["lines"] = sentence
    return problems or _money_problems(params, terms, allocation)


def _exit_problems(params: Params) -> Problems:
    """Sentences about exits that do not lie outside the grid, on the side that the direction gives them."""
    problems: Problems = {}
    if params.direction == "neutral":
        sides = {"stop_loss": -1, "upper_stop_loss": 1}
    else:
        sides = {"stop_loss": -DIRECTIONS[params.direction], "take_profit": DIRECTIONS[params.direction]}
    for name in ("stop_loss", "upper_stop_loss", "take_profit"):
        price = getattr(params, name)
        if price is None:
            continue
        if name not in sides:
            problems[name] = f"{name} is not for a {params.direction} grid: leave it empty."
        elif sides[name] < 0 and price >= params.lower:
            problems[name] = f"{name} must be below lower ({params.lower:.15g}), not {price:.15g}."
        elif sides[name] > 0 and price <= params.upper:
            problems[name] = f"{name} must be above upper ({params.upper:.15g}), not {price:.15g}."
    return problems


def _lines_problem(params: Params, prices: Column, terms: Terms) -> str:
    """A sentence when lines fall together or a cycle cannot pay its two fees."""
    steps = np.diff(prices)
    if prices[0] <= 0.0 or steps.min() <= 0.0:
        return f"lines must leave at least one tick ({terms.tick:.15g}) between two lines; {params.lines} are too many."
    # Net profit of a cell from p to p + d: d − maker (2 p + d). The lowest rate is what matters.
    lower, upper = prices[:-1], prices[1:]
    worst = int(np.argmin((steps - terms.maker * (lower + upper)) / lower))
    if steps[worst] <= terms.maker * (lower[worst] + upper[worst]):
        step = 100 * steps[worst] / lower[worst]
        return (
            f"lines: a step of {step:.3g} % is below twice the fee {100 * terms.maker:.3g} %: "
            f"every cycle would lose; {params.lines} lines are too many for this range."
        )
    return ""


def _money_problems(params: Params, terms: Terms, allocation: float) -> Problems:
    """Sentences about orders that would be too small, and about liquidation before the bot ends by itself."""
    worst = [figures(vector(params, terms), terms, params.leverage, allocation, price) for price in fullest(params)]
    least = max(found.least_allocation for found in worst)
    if allocation < least:
        return {
            "allocation": f"allocation must be at least {least:.15g} for {params.lines - 1} grids at leverage "
            f"{params.leverage:.15g} that reach the market's minimum order (amount "
            f"{max(terms.min_amount, terms.lot):.15g}, value {terms.min_cost:.15g}), not {allocation:.15g}."
        }
    down = max((found.liquidation_down or 0.0 for found in worst), default=0.0)
    up = min(found.liquidation_up or np.inf for found in worst)
    for liquidation, inside in ((down, down > params.lower), (up, up < params.upper)):
        if inside:
            return {
                "leverage": f"leverage {params.leverage:.15g} would be liquidated at {liquidation:.6g}, inside the "
                f"grid ({params.lower:.15g} to {params.upper:.15g}): lower it, or use more lines."
            }
    problems: Problems = {}
    for name, price in (("stop_loss", params.stop_loss), ("upper_stop_loss", params.upper_stop_loss)):
        if price is not None and price <= params.lower and price <= down:
            problems[name] = f"{name} must be above {down:.6g}, where the bot would be liquidated, not {price:.15g}."
        elif price is not None and price >= params.upper and price >= up:
            problems[name] = f"{name} must be below {up:.6g}, where the bot would be liquidated, not {price:.15g}."
    return problems
