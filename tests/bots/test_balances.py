"""Money moves by conditional updates, to the last unit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from bots import balances, services
from bots.models import Balance

UNIT = Decimal("0.000000000000000001")


def free(account, currency="USDT"):
    return Balance.objects.get(account=account, currency=currency).free


def test_reserving_takes_what_is_there_and_no_unit_more(account):
    assert not balances.reserve(account, "USDT", 10_000 + UNIT)
    assert free(account) == 10_000
    assert balances.reserve(account, "USDT", 10_000 - UNIT)
    assert free(account) == UNIT
    assert balances.reserve(account, "USDT", UNIT)
    assert free(account) == 0
    assert not balances.reserve(account, "USDT", UNIT)


def test_a_currency_that_the_account_has_not_cannot_be_reserved(account):
    assert not balances.reserve(account, "EUR", UNIT)
    assert not Balance.objects.filter(currency="EUR").exists()


def test_releasing_adds_up_and_opens_a_currency_that_is_new(account):
    balances.release(account, "SOL", Decimal("1.5"))
    balances.release(account, "SOL", UNIT)
    assert free(account, "SOL") == Decimal("1.5") + UNIT


def test_releasing_nothing_opens_no_balance(account):
    balances.release(account, "SOL", Decimal(0))
    assert not Balance.objects.filter(currency="SOL").exists()


def test_other_accounts_and_currencies_are_left_alone(account, owner, exchange):
    other = services.open_paper_account(owner, "Other", exchange, {"USDT": Decimal(5), "EUR": Decimal(7)})
    balances.reserve(account, "USDT", Decimal(1000))
    balances.release(account, "EUR", Decimal(1))
    assert (free(other), free(other, "EUR"), free(account), free(account, "EUR")) == (5, 7, 9000, 1)


def test_the_database_itself_refuses_a_balance_below_nothing(account):
    with pytest.raises(IntegrityError, match="balance_not_negative"), transaction.atomic():
        balances.release(account, "USDT", Decimal(-10_001))
    assert free(account) == 10_000
