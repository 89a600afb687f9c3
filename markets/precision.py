"""Tick and lot rounding and order minimums: the one place of rounding, the same in every mode.

The float functions are compiled, so that the engine calls them inside its own kernels; with JIT disabled they are
plain Python and give the same numbers. They return the float nearest to the decimal multiple of the step.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
from numba import njit

# A step counts as reached when less than this part of it is missing: what float arithmetic loses on the way.
NOISE = 1e-9
# The usual 28 digits hold ten before the point beside a step of 1e-18.
_WIDE = Context(prec=60)
_ULPS = 4 * 2.220446049250313e-16

FINE, ROUNDS_TO_ZERO, BELOW_MIN_AMOUNT, BELOW_MIN_COST = range(4)


@njit(cache=True)
def _multiple(n: float, step: float) -> float:
    """n × step as the nearest float: step = m / 10^k, so n·m / 10^k rounds once (exact while n·m < 2^53, k <= 22)."""
    # The first scale that makes the step a whole number; those that leave it below a half cannot.
    if step > 5e-3:
        scale = 1.0 if step > 0.5 else 10.0 if step > 5e-2 else 100.0
    elif step > 5e-6:
        scale = 1e3 if step > 5e-4 else 1e4 if step > 5e-5 else 1e5
    else:
        scale = 1e6 if step > 5e-7 else 1e7 if step > 5e-8 else 1e8
    while scale < 1e18:
        m = np.rint(step * scale)
        if m >= 1.0 and abs(step * scale - m) <= 1e-12 * m:
            break
        scale *= 10.0
    rounded: float = n * np.rint(step * scale) / scale
    return rounded


@njit(cache=True)
def round_to_step(x: float, step: float) -> float:
    """Multiple of step nearest to x, halves to the even one; x itself when step is 0."""
    if step <= 0.0:
        return x
    return _multiple(np.rint(x / step), step)


@njit(cache=True)
def floor_to_step(x: float, step: float) -> float:
    """Largest multiple of step not above x, give or take float noise; x itself when step is 0."""
    if step <= 0.0:
        return x
    steps = x / step
    n = np.rint(steps)
    if n - steps > NOISE + _ULPS * abs(steps):
        n -= 1.0
    return _multiple(n, step)


@njit(cache=True)
def ceil_to_step(x: float, step: float) -> float:
    """Smallest multiple of step not below x, give or take float noise; x itself when step is 0."""
    return -floor_to_step(-x, step)


@njit(cache=True)
def order_fault(amount: float, price: float, min_amount: float, min_cost: float) -> int:
    """FINE, or why an order of a rounded amount (base) at a price (quote per base) is too small to be placed.

    An amount or a price that is no number is none.
    """
    if not 0.0 < amount * price < np.inf:
        return ROUNDS_TO_ZERO
    if amount < min_amount * (1.0 - NOISE):
        return BELOW_MIN_AMOUNT
    if amount * price < min_cost * (1.0 - NOISE):
        return BELOW_MIN_COST
    return FINE


def refusal(amount: float, price: float, lot: float, min_amount: float, min_cost: float) -> str | None:
    """Why an order of this amount is refused once rounded down to the lot, in a sentence, or None."""
    rounded = float(floor_to_step(amount, lot))
    code = order_fault(rounded, price, min_amount, min_cost)
    if code == ROUNDS_TO_ZERO:
        return f"amount must be at least one lot of {lot:.12g}, not {amount:.12g}."
    if code == BELOW_MIN_AMOUNT:
        return f"amount must be at least {min_amount:.12g}, not {rounded:.12g}."
    if code == BELOW_MIN_COST:
        return f"cost must be at least {min_cost:.12g}, not {rounded * price:.12g} ({rounded:.12g} at {price:.12g})."
    return None


def decimals(step: Decimal) -> int:
    """Digits behind the point that a multiple of the step needs: 2 for 0.25, 0 for 10."""
    exponent = step.normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"step must be a finite number, not {step}.")
    return max(0, -exponent)


def to_decimal(x: float, step: Decimal) -> Decimal:
    """Exact multiple of step nearest to x, with the step's own number of digits; x as written when step is 0."""
    exact = Decimal(repr(float(x)))
    if not step:
        return exact
    steps = _WIDE.divide(exact, step).to_integral_value(ROUND_HALF_EVEN)
    return _WIDE.multiply(steps, step).quantize(Decimal(1).scaleb(-decimals(step)), context=_WIDE)
