"""What the kinds that trade on margin share: the leverage, and where the exchange liquidates."""

from __future__ import annotations

from typing import Any

from bots.engine.types import Terms
from bots.kinds.parameters import Problems, parameter


def leverage_parameter() -> Any:
    return parameter(
        "number",
        "Leverage",
        "Value of the position for each unit of margin. The market says how much it allows.",
        unit="×",
        least=1,
        most=200,
        default=2.0,
    )


def liquidation_price(cash: float, position: float, maintenance: float) -> float | None:
    """Where the maintenance margin is all that is left; None for a position that can always be paid for.

    cash in quote; position in base, negative when short; maintenance a fraction of the position's value. Equity
    cash + q p equals m |q| p at p = cash / (m |q| − q), as in bots/engine/protection.py.
    """
    if position == 0.0:
        return None
    price = cash / (maintenance * abs(position) - position)
    return price if price > 0.0 else None


def leverage_problem(leverage: float, terms: Terms) -> Problems:
    """A sentence when a position would be liquidated as soon as it is opened."""
    if terms.maintenance * leverage < 1.0:
        return {}
    return {
        "leverage": f"leverage must be below {1.0 / terms.maintenance:.6g}, where the market's maintenance margin of "
        f"{100 * terms.maintenance:.3g} % is all there is, not {leverage:.15g}."
    }
