"""Trades and payments in the words that people read in the log."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from bots.kinds import KINDS
from bots.models import Trade
from bots.records import ExactPayment, ExactTrade, payment_event, trade_event
from markets.models import Market

BTC = Market(symbol="BTC/USDT", base="BTC", quote="USDT")


def test_a_trade_is_told_in_grouped_figures_with_a_true_minus():
    price, amount, fee = Decimal("54354.43"), Decimal("1739.5"), Decimal("0.1094")
    trade = ExactTrade(timezone.now(), 1, 1, "limit", price, -1, price, amount, fee, "grid")
    row = Trade(side="sell", number=7, realized=Decimal("-1234.5"))
    *_, text, data = trade_event(row, trade, KINDS["grid"], BTC)
    assert text == (
        "Sold 1,739.5 BTC at 54,354.43 USDT: the price touched a grid line. "
        "Locked in −1,234.61 USDT after a fee of 0.1094."
    )
    assert data["number"] == 7


@pytest.mark.parametrize(
    ("paid", "told"),
    [
        ("-7.2820566", "Received 7.28 USDT"),
        ("1234.567", "Paid 1,234.57 USDT"),
        ("0.0596412", "Paid 0.05964 USDT"),
        ("-0.00012345", "Received 0.0001234 USDT"),
    ],
)
def test_a_payment_of_funding_is_told_to_the_cent_or_in_four_digits(paid, told):
    payment = ExactPayment(timezone.now(), 0.0001, Decimal(100), Decimal(1), Decimal(paid))
    assert payment_event(payment, BTC)[2].startswith(told)
