"""Parameters of the DCA kind that do not fit each other, the market or the money: one sentence each."""

from __future__ import annotations

import numpy as np

from bots.engine.types import Terms
from bots.kinds.dca.params import MOST_STEPS, Params, safety_orders, targets
from bots.kinds.parameters import Problems
from markets.series import Column


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems = _safety_problems(params) | _step_problems(params)
    if problems:
        return problems
    return (
        _stop_problems(params, terms)
        | _profit_problems(params, terms)
        | _price_problems(params)
        | _money_problems(params, terms, allocation)
    )


def _safety_problems(params: Params) -> Problems:
    if params.custom_steps:
        sentence = _custom_problem(params)
        return {"custom_steps": sentence} if sentence else {}
    if params.max_safety_orders and params.safety_order is None:
        return {"safety_order": "safety_order is needed, or custom_steps, or 0 as max_safety_orders."}
    deepest = float(safety_orders(params)[-1, 0]) if params.max_safety_orders else 0.0
    if deepest >= 1.0:
        return {
            "max_safety_orders": f"max_safety_orders: order {params.max_safety_orders} would lie {100 * deepest:.4g} % "
            "below the base order, which must be under 100 %: lower the count, step or step_scale."
        }
    return {}


def _custom_problem(params: Params) -> str:
    """A sentence about broken custom steps, or nothing."""
    if params.safety_order is not None:
        return "custom_steps take the place of safety_order: leave one of the two empty."
    try:
        deviations, sizes = safety_orders(params).T
    except ValueError as error:
        return str(error)
    outside = deviations[(deviations <= 0.0) | (deviations >= 1.0)]
    if outside.size:
        return f"custom_steps: a deviation must be above 0 % and under 100 %, not {100 * outside[0]:.6g} %."
    if sizes.min() <= 0.0:
        return f"custom_steps: a size must be above 0, not {sizes.min():.6g}."
    return _not_rising("custom_steps", "deviation", deviations)


def _not_rising(name: str, what: str, fractions: Column) -> str:
    fall = np.flatnonzero(np.diff(fractions) <= 0.0)
    if not fall.size:
        return ""
    before, after = 100 * fractions[fall[0]], 100 * fractions[fall[0] + 1]
    return f"{name}: each {what} must be above the one before, {before:.6g} %, not {after:.6g} %."


def _step_problems(params: Params) -> Problems:
    """Sentences about broken take-profit steps, and about a break-even step that there is not."""
    try:
        profits, parts = targets(params).T
    except ValueError as error:
        return {"take_profit_steps": str(error)}
    name = "take_profit_steps"
    if len(parts) > MOST_STEPS:
        return {name: f"{name} must be at most {MOST_STEPS}, not {len(parts)}."}
    if min(profits.min(), parts.min()) <= 0.0:
        least = 100 * min(profits.min(), parts.min())
        return {name: f"{name}: targets and parts must be above 0 %, not {least:.6g} %."}
    if abs(parts.sum() - 1.0) > 1e-9:
        return {name: f"{name}: the parts must add up to 100 %, not {100 * parts.sum():.6g} %."}
    if sentence := _not_rising(name, "target", profits):
        return {name: sentence}
    if params.break_even_step >= len(parts):
        return {
            "break_even_step": f"break_even_step must be below the number of take-profit steps ({len(parts)}), not "
            f"{params.break_even_step}."
        }
    return {}


def _stop_problems(params: Params, terms: Terms) -> Problems:
    problems: Problems = {}
    safety = safety_orders(params)
    deepest = float(safety[-1, 0]) if len(safety) else 0.0
    if params.stop_loss is not None and params.stop_loss / 100.0 <= deepest:
        problems["stop_loss"] = (
            f"stop_loss must be beyond the last safety order ({100 * deepest:.4g} %), not {params.stop_loss:.4g} %."
        )
    elif params.stop_loss is not None and params.base_order * (1.0 - params.stop_loss / 100.0) < terms.min_cost:
        problems["stop_loss"] = (
            f"stop_loss must leave the base order worth the market's minimum order {terms.min_cost:.15g}, not "
            f"{params.base_order * (1.0 - params.stop_loss / 100.0):.6g}: it could not be sold."
        )
    has_stop = params.stop_loss is not None or params.break_even is not None or params.break_even_step
    if params.stop_loss_timeout and not has_stop:
        problems["stop_loss_timeout"] = (
            f"stop_loss_timeout needs a stop_loss, break_even or break_even_step, not {params.stop_loss_timeout} s "
            "without any."
        )
    # The stop must not be touched by the price that moves it.
    least = 100 * (1.0 / ((1.0 - terms.taker) * (1.0 - terms.slippage)) - 1.0)
    if params.break_even is not None and params.break_even <= least:
        problems["break_even"] = (
            f"break_even must be above what the sale costs ({least:.3g} %), not {params.break_even:.4g} %."
        )
    return problems


def _profit_problems(params: Params, terms: Terms) -> Problems:
    """Sentences about targets that would not pay the fee of the sale."""
    name = "take_profit_steps" if params.take_profit_steps else "take_profit"
    profits = targets(params)[:, 0]
    if params.min_profit is not None and params.trailing is None:
        return {
            "min_profit": f"min_profit needs trailing, not {params.min_profit:.4g} % without: else the target is "
            "what the sale brings."
        }
    # What is left of the last target when a trailing sale turns at once.
    left = (1.0 + profits[-1]) * (1.0 - (params.trailing or 0.0) / 100.0) - 1.0
    left = min(max(left, (params.min_profit or 0.0) / 100.0), *profits[:-1], np.inf)
    if left <= terms.taker:
        return {
            name: f"{name} must leave more than the fee of the sale {100 * terms.taker:.3g} %, not {100 * left:.3g} %: "
            "every deal would lose."
        }
    return {}


def _price_problems(params: Params) -> Problems:
    low, high = params.min_price, params.max_price
    if low is None or high is None or low <= high:
        return {}
    return {"min_price": f"min_price must be at most max_price ({high:.15g}), not {low:.15g}."}


def _money_problems(params: Params, terms: Terms, allocation: float) -> Problems:
    sizes = safety_orders(params)[:, 1]
    needed = float(params.base_order + sizes.sum()) * (1.0 + max(terms.maker, terms.taker)) * (1.0 + terms.slippage)
    if needed > allocation * (1.0 + 1e-12):
        return {
            "allocation": f"allocation must be at least {needed:.8g}, what the base order and all safety orders take "
            f"with fees, not {allocation:.15g}."
        }
    if params.base_order < terms.min_cost and params.base_order <= sizes.min(initial=np.inf):
        return {"base_order": _too_small("base_order", terms, params.base_order)}
    smallest = float(sizes.min(initial=np.inf))
    if smallest < terms.min_cost:
        name = "custom_steps" if params.custom_steps else "safety_order"
        return {name: _too_small(name, terms, smallest)}
    part = float(targets(params)[:, 1].min()) * params.base_order
    if part < terms.min_cost:
        sentence = _too_small("take_profit_steps", terms, part)
        return {"take_profit_steps": f"{sentence[:-1]}, the smallest part of the base order."}
    return {}


def _too_small(name: str, terms: Terms, size: float) -> str:
    return f"{name} must be at least the market's minimum order {terms.min_cost:.15g}, not {size:.6g}."
