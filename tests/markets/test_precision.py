from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets import precision

STEPS = ["0.01", "1e-8", "0.5", "0.00025", "5", "10", "0.1", "0.001", "0.3", "2.5", "1", "1e-12", "0.05"]
steps = st.sampled_from(STEPS)
# As many steps as a float can tell apart.
counts = st.integers(-(10**12), 10**12)


def nearest(n: int, step: str) -> float:
    return float(n * Decimal(step))


@given(n=counts, step=steps)
def test_a_multiple_is_left_as_it_is_by_every_rounding(n, step):
    x = nearest(n, step)
    assert precision.round_to_step(x, float(step)) == x
    assert precision.floor_to_step(x, float(step)) == x
    assert precision.ceil_to_step(x, float(step)) == x


@given(n=st.integers(-(10**9), 10**9), part=st.floats(0.001, 0.999), step=steps)
def test_between_two_multiples_floor_ceil_and_round_give_the_right_one(n, part, step):
    x = float((n + Decimal(part)) * Decimal(step))
    exact = Decimal(x) / Decimal(step)
    below, above = exact.to_integral_value(ROUND_FLOOR), exact.to_integral_value(ROUND_CEILING)
    assert precision.floor_to_step(x, float(step)) == nearest(int(below), step)
    assert precision.ceil_to_step(x, float(step)) == nearest(int(above), step)
    if abs(exact - below - Decimal("0.5")) > Decimal("1e-6"):
        assert precision.round_to_step(x, float(step)) == nearest(round(exact), step)


def test_float_noise_never_costs_a_step():
    assert precision.round_to_step(0.1 + 0.2, 0.1) == 0.3
    assert precision.floor_to_step(0.3, 0.1) == 0.3
    assert precision.floor_to_step(0.1 * 3 - 1e-16, 0.1) == 0.3
    assert precision.ceil_to_step(0.1 + 0.2, 0.1) == 0.3
    assert precision.floor_to_step(0.29, 0.1) == 0.2


def test_step_zero_means_no_rounding():
    assert precision.round_to_step(1.23456, 0.0) == 1.23456
    assert precision.floor_to_step(1.23456, 0.0) == 1.23456
    assert precision.ceil_to_step(1.23456, 0.0) == 1.23456


@given(n=st.integers(-(10**9), 10**9), part=st.floats(0, 1), step=steps)
def test_compiled_and_plain_rounding_agree(n, part, step):
    x = float((n + Decimal(part)) * Decimal(step))
    for function in (precision.round_to_step, precision.floor_to_step, precision.ceil_to_step):
        assert function(x, float(step)) == getattr(function, "py_func", function)(x, float(step))


@given(n=counts, step=steps)
def test_decimals_of_a_multiple_are_exact(n, step):
    exact = precision.to_decimal(nearest(n, step), Decimal(step))
    assert exact == n * Decimal(step)
    assert -exact.as_tuple().exponent == precision.decimals(Decimal(step))


@pytest.mark.parametrize(
    ("step", "digits"), [("0.01", 2), ("0.010000000000000000", 2), ("1e-8", 8), ("5", 0), ("10", 0), ("0.25", 2)]
)
def test_a_step_knows_its_decimals(step, digits):
    assert precision.decimals(Decimal(step)) == digits


@pytest.mark.parametrize(
    ("amount", "price", "sentence"),
    [
        (0.0009, 100, "at least one lot of 0.001, not 0.0009"),
        (0.0019, 100, "amount must be at least 0.002, not 0.001"),
        (0.05, 100, "cost must be at least 10, not 5"),
        (0.1, 100, None),
        (0.1 + 0.2, 1000, None),
    ],
)
def test_an_order_too_small_is_refused_with_the_bound_and_the_value(amount, price, sentence):
    reason = precision.refusal(amount, price, lot=0.001, min_amount=0.002, min_cost=10)
    assert reason is None if sentence is None else sentence in reason


def test_large_multiples_of_the_finest_step_are_exact():
    assert precision.to_decimal(1e19, Decimal("1e-18")) == Decimal(10) ** 19
    assert precision.to_decimal(123456789012.5, Decimal("1e-18")) == Decimal("123456789012.5")
