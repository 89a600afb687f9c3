"""The parameters of the DCA kind, and the series that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bots.engine.types import Terms
from bots.kinds.dca.layout import FIRST_SAFETY
from bots.kinds.parameters import parameter
from markets.series import Column

MOST_STEPS = 4  # take-profit steps


@dataclass(frozen=True, slots=True)
class Params:
    base_order: float = parameter(
        "number", "Base order", "Bought at once when a deal begins.", unit="quote", least=1e-9
    )
    safety_order: float | None = parameter(
        "number", "Safety order", "Size of the first one.", unit="quote", least=1e-9, default=None
    )
    max_safety_orders: int = parameter("whole", "Safety orders", "At most, a deal.", least=0, most=200, default=5)
    active_safety_orders: int = parameter(
        "whole", "Active safety orders", "So many rest at once; 0 is all.", least=0, most=200, default=0
    )
    step: float = parameter(
        "number",
        "Price deviation",
        "Of the first safety order from the base order.",
        unit="%",
        least=0.01,
        most=99,
        default=1.5,
    )
    step_scale: float = parameter(
        "number", "Step scale", "Each further step is so many times the one before.", least=0.1, most=10, default=1.0
    )
    volume_scale: float = parameter(
        "number",
        "Volume scale",
        "Each further safety order is so many times the one before.",
        least=0.1,
        most=10,
        default=1.0,
    )
    custom_steps: str = parameter(
        "text",
        "Custom steps",
        "In the place of the safety orders above: deviation from the base order in % and size in quote of each, "
        "such as 1:100, 2.5:150, 5:300.",
        default="",
    )
    take_profit: float = parameter("number", "Take profit", "Of a deal.", unit="%", least=0.01, most=1000, default=1.5)
    take_profit_on: str = parameter(
        "choice",
        "Take profit on",
        "Percent of everything bought in the deal, or of the base order alone.",
        choices=(("total", "The total"), ("base", "The base order")),
        default="total",
    )
    take_profit_steps: str = parameter(
        "text",
        "Take-profit steps",
        "In the place of the take profit above: up to four targets in % and the part of the deal in % that each sells, "
        "such as 1:25, 2:25, 4:50.",
        default="",
    )
    trailing: float | None = parameter(
        "number",
        "Trailing deviation",
        "From the (last) target on follow the high, sell this far below.",
        unit="%",
        least=0.05,
        most=50,
        default=None,
    )
    min_profit: float | None = parameter(
        "number",
        "Minimum profit",
        "Follow the high only from where a turn leaves at least this.",
        unit="%",
        least=0.01,
        most=1000,
        default=None,
    )
    stop_loss: float | None = parameter(
        "number", "Stop loss", "Sell this far below the base order.", unit="%", least=0.05, most=99, default=None
    )
    stop_loss_timeout: int = parameter(
        "whole",
        "Stop timeout",
        "Sell only when candles close beyond the stop for so long; 0 sells at the touch.",
        unit="s",
        least=0,
        most=2_592_000,
        default=0,
    )
    stop_loss_action: str = parameter(
        "choice",
        "After a stop loss",
        "What follows when the stop loss has closed a deal.",
        choices=(("close", "Go on with the next deal"), ("end", "End the bot")),
        default="close",
    )
    break_even: float | None = parameter(
        "number",
        "Break-even at profit",
        "At this profit of the total the stop moves to where the deal loses nothing, fees included.",
        unit="%",
        least=0.01,
        most=1000,
        default=None,
    )
    break_even_step: int = parameter(
        "whole",
        "Break-even after step",
        "The stop moves to break-even when so many take-profit steps are done; 0 is never.",
        least=0,
        most=MOST_STEPS - 1,
        default=0,
    )
    cooldown: int = parameter("whole", "Cooldown", "Pause between deals.", unit="s", least=0, most=2_592_000, default=0)
    max_deals: int = parameter("whole", "Deals", "End after so many; 0 goes on.", least=0, most=1_000_000, default=0)
    reinvest: float = parameter(
        "number",
        "Reinvest profits",
        "So much of the profit is added to the orders of the next deal, shared out by their sizes.",
        unit="%",
        least=0,
        most=100,
        default=0.0,
    )
    min_price: float | None = parameter(
        "price", "Lowest price", "No deal begins below it.", unit="quote", least=1e-12, default=None
    )
    max_price: float | None = parameter(
        "price", "Highest price", "No deal begins above it.", unit="quote", least=1e-12, default=None
    )


def pairs(name: str, text: str, what: str) -> Column:
    """Shape (n, 2) from a text of pairs "a:b, c:d"; what: the two, for the sentence. Raises ValueError."""
    entries = [entry.split(":") for entry in text.split(",")]
    try:
        rows = [(float(first), float(second)) for first, second in entries]
    except ValueError:
        rows = []
    if not rows or not np.isfinite(rows).all():
        raise ValueError(f"{name} must be pairs of {what} such as 1:25, 2.5:75, not {text!r}.")
    return np.array(rows, np.float64)


def safety_orders(params: Params) -> Column:
    """Shape (n, 2): deviation from the base order's price as a fraction, size in quote. Raises ValueError."""
    if params.custom_steps:
        return pairs("custom_steps", params.custom_steps, "deviation % and size") * (0.01, 1.0)
    number = np.arange(params.max_safety_orders)
    deviations = np.cumsum(params.step / 100.0 * params.step_scale**number)
    return np.column_stack([deviations, (params.safety_order or 0.0) * params.volume_scale**number])


def targets(params: Params) -> Column:
    """Shape (steps, 2): profit and part of the deal to sell there, as fractions. Raises ValueError."""
    if params.take_profit_steps:
        return pairs("take_profit_steps", params.take_profit_steps, "target % and part %") / 100.0
    return np.array([[params.take_profit / 100.0, 1.0]])


def active(params: Params) -> int:
    """How many safety orders rest at once, at most."""
    count = len(safety_orders(params))
    return min(params.active_safety_orders or count, count)


def slots(params: Params) -> int:
    """Entry, exit, stop, the resting safety orders, the take-profit steps but the last, the break-even alarm."""
    return FIRST_SAFETY + active(params) + len(targets(params)) - 1 + (params.break_even is not None)


def vector(params: Params, terms: Terms) -> Column:
    safety, steps = safety_orders(params), targets(params)
    head = [
        params.base_order,
        len(safety),
        active(params),
        len(steps),
        params.take_profit_on == "base",
        (params.trailing or 0.0) / 100.0,
        (params.min_profit or 0.0) / 100.0,
        (params.stop_loss or 0.0) / 100.0,
        params.stop_loss_timeout * 1000.0,
        params.stop_loss_action == "end",
        (params.break_even or 0.0) / 100.0,
        params.break_even_step,
        params.cooldown * 1000.0,
        params.max_deals,
        params.reinvest / 100.0,
        params.min_price or 0.0,
        params.max_price or math.inf,
    ]
    return np.concatenate([np.array(head, np.float64), *safety.T, *steps.T])
