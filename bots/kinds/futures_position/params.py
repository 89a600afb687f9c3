"""The parameters of a futures position, and what does not fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bots.engine.types import Terms
from bots.kinds.futures_position.layout import RUNGS, SLOTS
from bots.kinds.margin import leverage_parameter, leverage_problem, liquidation_price
from bots.kinds.parameters import Problems, parameter
from markets.series import Column

SIDES: Final = {"long": 1.0, "short": -1.0}
ENTRIES: Final = ("market", "limit", "trigger")


def _profit(number: int) -> Any:
    return parameter(
        "number",
        f"Take profit {number}",
        "Close a share of the position at this move of the price; the last one closes the rest of the shares.",
        unit="%",
        least=0.05,
        most=1000,
        default=None,
    )


def _share(number: int) -> Any:
    return parameter(
        "number", f"Share {number}", "Of the position, closed there.", unit="%", least=1, most=100, default=None
    )


@dataclass(frozen=True, slots=True)
class Params:
    side: str = parameter(
        "choice",
        "Side",
        "Long earns when the price rises, short when it falls.",
        choices=(("long", "Long"), ("short", "Short")),
        default="long",
    )
    leverage: float = leverage_parameter()
    size: float = parameter(
        "number",
        "Size",
        "Part of the allocation that is the margin; the rest is a reserve against liquidation.",
        unit="%",
        least=1,
        most=100,
        default=50.0,
    )
    entry: str = parameter(
        "choice",
        "Entry",
        "At once, with a limit order, or at market when the price touches the entry price.",
        choices=(("market", "At market"), ("limit", "Limit order"), ("trigger", "Trigger")),
        default="market",
    )
    entry_price: float | None = parameter(
        "price", "Entry price", "Of a limit order or a trigger.", unit="quote", least=1e-12, default=None
    )
    take_profit_1: float | None = _profit(1)
    share_1: float | None = _share(1)
    take_profit_2: float | None = _profit(2)
    share_2: float | None = _share(2)
    take_profit_3: float | None = _profit(3)
    share_3: float | None = _share(3)
    take_profit_4: float | None = _profit(4)
    share_4: float | None = _share(4)
    stop_loss: float | None = parameter(
        "number", "Stop loss", "Close at this move against the position.", unit="%", least=0.05, most=99, default=None
    )
    break_even: float | None = parameter(
        "number",
        "Break-even from",
        "At this profit the stop moves to where the position pays its fees.",
        unit="%",
        least=0.05,
        most=1000,
        default=None,
    )
    trailing_activation: float = parameter(
        "number",
        "Trailing activation",
        "The trailing stop starts at this profit; 0 starts at once.",
        unit="%",
        least=0,
        most=1000,
        default=0.0,
    )
    trailing_distance: float | None = parameter(
        "number",
        "Trailing distance",
        "Close when the price turns by this from its best; empty does not trail.",
        unit="%",
        least=0.05,
        most=90,
        default=None,
    )
    liquidation_buffer: float = parameter(
        "number",
        "Liquidation buffer",
        "A stop loss must be farther from liquidation than this part of the way from the entry to it.",
        unit="%",
        least=0,
        most=90,
        default=5.0,
    )
    positions: int = parameter(
        "whole",
        "Positions",
        "End after so many; 0 enters again and again. A limit or trigger waits for its price each time.",
        least=0,
        most=1_000_000,
        default=1,
    )
    reinvest: bool = parameter(
        "flag", "Reinvest", "Size by what the allocation has become; else by the allocation at most.", default=True
    )


def slots(params: Params) -> int:
    return SLOTS


def ladder(params: Params) -> list[tuple[float, float]]:
    """(distance, share of the position), fractions, as they are set; shares that are not are equal parts of the rest.

    Rounding to lots leaves the last one what is left of all shares.
    """
    set_ones = [(params_at(params, "take_profit", n), params_at(params, "share", n)) for n in range(1, RUNGS + 1)]
    rungs = [(move, share) for move, share in set_ones if move is not None]
    open_shares = sum(share is None for _, share in rungs)
    left = 100.0 - sum(share or 0.0 for _, share in rungs)
    return [(move / 100.0, (left / open_shares if share is None else share) / 100.0) for move, share in rungs]


def params_at(params: Params, name: str, number: int) -> float | None:
    """One of the numbered fields."""
    value: float | None = getattr(params, f"{name}_{number}")
    return value


def vector(params: Params, terms: Terms) -> Column:
    rungs = ladder(params) + [(0.0, 0.0)] * RUNGS
    numbers = [
        SIDES[params.side],
        ENTRIES.index(params.entry),
        params.entry_price or 0.0,
        params.size / 100.0,
        (params.stop_loss or 0.0) / 100.0,
        (params.break_even or 0.0) / 100.0,
        params.trailing_activation / 100.0,
        (params.trailing_distance or 0.0) / 100.0,
        params.positions,
        params.reinvest,
        *(move for move, _ in rungs[:RUNGS]),
        *(share for _, share in rungs[:RUNGS]),
    ]
    return np.array(numbers, np.float64)


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems = leverage_problem(params.leverage, terms) | _entry_problems(params) | _ladder_problems(params, terms)
    if params.break_even is not None and params.break_even <= 200.0 * terms.taker:
        problems["break_even"] = (
            f"break_even must be above the two fees of {200 * terms.taker:.3g} %, not {params.break_even:.15g}."
        )
    if problems:
        return problems
    return _liquidation_problems(params, terms) | _money_problems(params, terms, allocation)


def _entry_problems(params: Params) -> Problems:
    if params.entry == "market" and params.entry_price is not None:
        return {"entry_price": "entry_price is not for an entry at market: leave it empty."}
    if params.entry != "market" and params.entry_price is None:
        return {"entry_price": f"entry_price is needed for the entry {params.entry}."}
    return {}


def _ladder_problems(params: Params, terms: Terms) -> Problems:
    problems: Problems = {}
    before, total = 0.0, 0.0
    for number in range(1, RUNGS + 1):
        move, share = params_at(params, "take_profit", number), params_at(params, "share", number)
        name = f"take_profit_{number}"
        if move is None:
            if share is not None:
                problems[f"share_{number}"] = f"share_{number} needs a {name}."
            continue
        if move <= before:
            problems[name] = f"{name} must be above the one before it ({before:.15g} %), not {move:.15g}."
        elif move <= 200.0 * terms.taker:
            problems[name] = f"{name} must be above the two fees of {200 * terms.taker:.3g} %, not {move:.15g}."
        elif params.side == "short" and move >= 100.0:
            problems[name] = f"{name} must be below 100 % for a short, not {move:.15g}: no price falls further."
        before, total = move, total + (share or 0.0)
        if total > 100.0 or (share is None and total >= 100.0):
            problems[f"share_{number}"] = f"share_{number} must leave the shares at 100 % together, not {total:.15g} %."
    return problems


def liquidation_move(params: Params, terms: Terms) -> float:
    """How far the price may move against the position until liquidation, a fraction of the entry; inf for never.

    Of an entry of 1 base at the price 1: the margin of the whole allocation stands behind it, less the entry's fee.
    """
    side = SIDES[params.side]
    money = 100.0 / (params.size * params.leverage)
    price = liquidation_price(money - side - terms.taker, side, terms.maintenance)
    return float("inf") if price is None else side * (1.0 - price)


def _liquidation_problems(params: Params, terms: Terms) -> Problems:
    move = 100.0 * liquidation_move(params, terms)
    most = move * (1.0 - params.liquidation_buffer / 100.0)
    if move <= 0.0:
        return {"leverage": f"leverage {params.leverage:.15g} would be liquidated at its entry: lower it."}
    stops = {"stop_loss": params.stop_loss}
    if not params.trailing_activation and params.stop_loss is None:
        stops["trailing_distance"] = params.trailing_distance
    return {
        name: f"{name} must be below {most:.4g} % (liquidation at {move:.4g} %, less the buffer of "
        f"{params.liquidation_buffer:.15g} %), not {stop:.15g}."
        for name, stop in stops.items()
        if stop is not None and stop >= most
    }


def _money_problems(params: Params, terms: Terms, allocation: float) -> Problems:
    """A sentence when the smallest order would be below what the market takes."""
    smallest = min([share for _, share in ladder(params)], default=1.0)
    value = allocation * params.size / 100.0 * params.leverage * smallest
    # The entry puts its fees aside, and the stop of a long is worth less than its entry.
    room = 1.0 + params.leverage * terms.taker + (params.stop_loss or 0.0) / 100.0
    if value >= terms.min_cost * room:
        return {}
    needed = allocation * terms.min_cost * room / value
    return {
        "allocation": f"allocation must be at least {needed:.6g} for orders that reach the market's minimum value of "
        f"{terms.min_cost:.15g}, not {allocation:.15g}."
    }
