from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import formats
from tests.dashboard.cast import at


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234567.891, 2, "1,234,567.89"),
        (Decimal("-12.345"), 2, "−12.34"),
        (-0.001, 2, "0.00"),
        (0, 0, "0"),
        (None, 2, "–"),
    ],
)
def test_numbers_are_grouped_with_a_true_minus_and_no_negative_zero(value, digits, text):
    assert formats.number(value, digits) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_a_number_can_be_read_back_to_its_digits(value):
    text = formats.number(value, 6).replace(",", "").replace("−", "-")
    assert Decimal(text) == value


@pytest.mark.parametrize(("step", "digits"), [("0.010000", 2), ("1", 0), ("10", 0), ("0.00000001", 8), ("0.25", 2)])
def test_a_price_has_the_digits_of_its_tick(step, digits):
    assert formats.decimals(Decimal(step)) == digits


def test_gains_and_losses_are_told_by_sign_and_arrow_besides_colour():
    assert formats.money_change(12, "USDT") == '<span class="up"><span class="arrow">▲</span>+12.00</span>'
    assert formats.money_change(-12, "USDT") == '<span class="down"><span class="arrow">▼</span>−12.00</span>'
    assert formats.money_change(Decimal("0.001"), "USDT") == '<span class="flat">0.00</span>'
    assert formats.money_change(None, "USDT") == "–"


def test_small_gains_of_a_dear_currency_are_not_rounded_away():
    assert formats.money(Decimal("0.00012"), "BTC") == "0.00012000"


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=29), "29 d ago"),
        (timedelta(days=31), "2026-01-01"),
    ],
)
def test_times_are_relative_in_one_unit(ago, text):
    now = at("2026-02-01T12:00:00")
    assert formats.age(now - ago, now) == text


def test_a_time_carries_its_exact_moment():
    now = at("2026-02-01T12:00:00")
    assert formats.when(now, now) == (
        '<time datetime="2026-02-01T12:00:00Z" title="2026-02-01 12:00:00 UTC">just now</time>'
    )


def test_a_millisecond_beyond_the_calendar_is_no_time():
    assert formats.from_ms(2**53) is None
    assert formats.from_ms(0) == at("1970-01-01T00:00:00")


def test_times_say_what_they_multiply():
    assert formats.times(2.5) == "2.50\u202f×"
    assert formats.times(None) == "–"
