"""Settings → Accounts: the money that is free, what bots were given of it, and coins that they left."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.utils import timezone

from bots.models import Account, Balance
from tests.dashboard.cast import make_bot, make_user

ACCOUNTS = "/settings/accounts/"


@pytest.fixture
def account(owner, market):
    made = make_bot(owner, market).account
    for currency, free in (("USDT", "2500.125"), ("SOL", "0.00000012"), ("DOGE", "0")):
        Balance.objects.create(account=made, currency=currency, free=Decimal(free))
    return made


def cells(text):
    """The rows of the tables as texts."""
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.S)[1:]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in rows]


def test_money_is_told_to_the_last_digit_with_what_bots_have_of_it(page, account):
    run = account.bots.get().runs.get()
    given, worth = (f"{value:,.2f}" for value in (run.allocation, run.equity))
    assert cells(page(ACCOUNTS).text_) == [
        ["SOL", "0.00000012", "–", "–", "–"],
        ["USDT", "2,500.125", "1", given, worth],
    ]


def test_a_run_that_is_over_has_nothing_any_more(page, account):
    account.bots.get().runs.update(status="stopped")
    assert cells(page(ACCOUNTS).text_)[1] == ["USDT", "2,500.125", "–", "–", "–"]


def test_another_s_accounts_are_not_there(page, account, market):
    Account.objects.create(owner=make_user("other"), name="Theirs", exchange=market.exchange)
    assert "Theirs" not in page(ACCOUNTS).text_


def test_who_has_none_is_told_who_opens_one(page):
    assert "An administrator opens one for you." in page(ACCOUNTS).text_


def test_a_halted_account_says_so_and_leads_to_its_release(page, account):
    Account.objects.update(halted_at=timezone.now(), halted_reason="Halted by ann.")
    text = page(ACCOUNTS).text_
    assert "Halted by ann." in text
    assert f"/release/?account={account.pk}" in text


def test_it_asks_the_same_however_many_there_are(page, account, market, owner, django_assert_num_queries):
    with django_assert_num_queries(3 + 2):  # session, visitor
        page(ACCOUNTS)
    for n in range(5):
        Balance.objects.create(
            account=Account.objects.create(owner=owner, name=f"A{n}", exchange=market.exchange), currency="USDT", free=1
        )
    with django_assert_num_queries(3 + 2):
        page(ACCOUNTS)
