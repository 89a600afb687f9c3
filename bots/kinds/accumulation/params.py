"""The parameters of the accumulation kind, and what does not fit of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bots.engine.types import Terms
from bots.kinds.parameters import Problems, parameter
from markets.series import Column

# Layout of the parameter vector.
(
    V_AMOUNT, V_INTERVAL, V_TOTAL, V_PURCHASES, V_MIN_PRICE, V_MAX_PRICE, V_MULTIPLIER, V_FALL, V_CAP, V_PROFIT,
    V_STARTS_OVER, V_LOSS,
) = range(12)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Params:
    amount: float = parameter("number", "Amount", "Spent each time, the fee included.", unit="quote", least=1e-9)
    interval: int = parameter(
        "whole",
        "Interval",
        "From one purchase to the next; at least a candle.",
        unit="s",
        least=1,
        most=31_536_000,
        default=86_400,
    )
    total: float | None = parameter(
        "number",
        "Total",
        "Stop buying when so much is spent, fees included; empty is the allocation.",
        unit="quote",
        least=1e-9,
        default=None,
    )
    purchases: int = parameter(
        "whole", "Purchases", "Stop buying after so many; 0 is as many as the money pays.", least=0, most=1_000_000,
        default=0,
    )  # fmt: skip
    min_price: float | None = parameter(
        "price", "Lowest price", "Skip purchases below it.", unit="quote", least=1e-12, default=None
    )
    max_price: float | None = parameter(
        "price", "Highest price", "Skip purchases above it.", unit="quote", least=1e-12, default=None
    )
    multiplier: float = parameter(
        "number",
        "Multiplier",
        "After a fall buy so many times what was bought last; back to the amount when the price is above the average.",
        least=1,
        most=10,
        default=1.0,
    )
    fall: float = parameter(
        "number", "Fall", "Since the last purchase, that multiplies.", unit="%", least=0.01, most=99, default=5.0
    )
    cap: float = parameter(
        "number", "Cap", "The largest purchase, in multiples of the amount.", least=1, most=1000, default=8.0
    )
    take_profit: float | None = parameter(
        "number", "Take profit", "Sell everything at this profit.", unit="%", least=0.01, most=1000, default=None
    )
    after_take_profit: str = parameter(
        "choice",
        "After a take profit",
        "Buy anew from zero, or end.",
        choices=(("restart", "Start over"), ("end", "End the bot")),
        default="restart",
    )
    stop_loss: float | None = parameter(
        "number",
        "Stop loss",
        "Sell everything this far below the average price, and end.",
        unit="%",
        least=0.05,
        most=99,
        default=None,
    )


def slots(params: Params) -> int:
    """Purchase, exit, stop."""
    return 3


def vector(params: Params, terms: Terms) -> Column:
    return np.array(
        [
            params.amount,
            params.interval * 1000.0,
            params.total or 0.0,
            params.purchases,
            params.min_price or 0.0,
            params.max_price or np.inf,
            params.multiplier,
            params.fall / 100.0,
            params.cap,
            (params.take_profit or 0.0) / 100.0,
            params.after_take_profit == "restart",
            (params.stop_loss or 0.0) / 100.0,
        ],
        np.float64,
    )


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems = _money_problems(params, terms, allocation)
    low, high = params.min_price, params.max_price
    if low is not None and high is not None and low > high:
        problems["min_price"] = f"min_price must be at most max_price ({high:.15g}), not {low:.15g}."
    if params.take_profit is not None and params.take_profit / 100.0 <= terms.taker:
        problems["take_profit"] = (
            f"take_profit must be above the fee of the sale {100 * terms.taker:.3g} %, not {params.take_profit:.3g} %: "
            "every round would lose."
        )
    if params.total is not None and params.total < params.amount:
        problems["total"] = f"total must be at least amount ({params.amount:.15g}), not {params.total:.15g}."
    return problems


def _money_problems(params: Params, terms: Terms, allocation: float) -> Problems:
    """Sentences when the market takes no such purchase, or the allocation cannot pay for all of them."""
    least = terms.min_cost * (1.0 + terms.taker)
    if params.amount < least:
        return {
            "amount": f"amount must be at least the market's minimum order with its fee, {least:.8g}, not "
            f"{params.amount:.15g}."
        }
    left = params.amount / (1.0 + terms.taker) * (1.0 - (params.stop_loss or 0.0) / 100.0)
    if left < terms.min_cost:
        return {
            "stop_loss": f"stop_loss must leave a purchase worth the market's minimum order {terms.min_cost:.15g}, not "
            f"{left:.6g}: it could not be sold."
        }
    needed, what = _plan(params)
    if needed > allocation * (1.0 + 1e-12):
        return {"allocation": f"allocation must be at least {needed:.15g}, what {what}, not {allocation:.15g}."}
    return {}


def _plan(params: Params) -> tuple[float, str]:
    """(quote that the purchases may take at most, words for it)."""
    if params.total is not None:
        return params.total, "the total takes"
    if not params.purchases:
        return params.amount, "one purchase takes"
    if params.multiplier == 1.0:
        return params.amount * params.purchases, f"{params.purchases} purchases take"
    with np.errstate(over="ignore"):
        multiples = np.minimum(params.multiplier ** np.arange(float(params.purchases)), params.cap)
    return float(params.amount * multiples.sum()), f"{params.purchases} purchases in a steady fall take"
