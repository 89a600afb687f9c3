"""Accounts in the admin: opened, halted, and given money there, each payment once."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from bots import services
from bots.models import Account, Event
from markets.models import Exchange
from tests.bots.conftest import START
from tests.bots.test_admin import boss, listed, page_of, staff, told, traded  # noqa: F401 (fixtures)


def test_staff_open_accounts_for_themselves_alone(client, staff, owner, exchange):
    client.force_login(staff)
    add = reverse("admin:bots_account_add")
    assert list(client.get(add).context["adminform"].form.fields["owner"].queryset) == [staff]
    data = {
        "owner": owner.pk, "name": "Gift", "mode": "paper", "exchange": exchange.pk, "balances-TOTAL_FORMS": 0,
        "balances-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert "owner" in client.post(add, data).context["adminform"].form.errors
    assert client.post(add, data | {"owner": staff.pk}).status_code == 302
    assert Account.objects.get().owner == staff


def test_an_account_keeps_its_owner_mode_and_exchange(client, boss, account, bot):
    data = {
        "owner": boss.pk, "name": "Renamed", "mode": "live", "exchange": account.exchange_id,
        "balances-TOTAL_FORMS": 0, "balances-INITIAL_FORMS": 0,
    }  # fmt: skip
    assert client.post(page_of(account), data).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.mode, account.owner) == ("Renamed", "paper", bot.owner)


def on_accounts(client, name: str, *accounts: Account):
    data = {"action": name, "_selected_action": [account.pk for account in accounts]}
    return client.post(listed("account"), data, follow=True)


def test_accounts_are_halted_and_released_from_the_list(client, boss, bot, account, traded):
    assert told(on_accounts(client, "halt_and_keep", account)) == ["Halted: 1 bot paused."]
    bot.refresh_from_db()
    assert bot.reason.startswith("Halted by boss: ")
    page = client.get(page_of(account)).content.decode()
    assert "Account Paper is halted since 20" in page
    assert f'href="/release/?account={account.pk}"' in page
    assert told(on_accounts(client, "halt_and_sell", account)) == ["Halted: 1 bot stopped and sold."]
    assert told(on_accounts(client, "release", account)) == ["1 account released."]
    assert f'href="/halt/?account={account.pk}"' in client.get(page_of(account)).content.decode()


@pytest.mark.parametrize("action", ["halt_and_keep", "halt_and_sell"])
def test_other_staff_halt_nothing_of_another(client, staff, bot, account, traded, action):
    client.force_login(staff)
    on_accounts(client, action, account)
    bot.refresh_from_db()
    account.refresh_from_db()
    assert (bot.status, account.halted_at) == ("running", None)


def test_an_account_s_exposure_is_set_in_the_admin(client, boss, account):
    data = {"name": "Paper", "max_exposure": "1500", "balances-TOTAL_FORMS": 0, "balances-INITIAL_FORMS": 0}
    assert client.post(page_of(account), data).status_code == 302
    account.refresh_from_db()
    assert account.max_exposure == 1500
    assert 'value="1500"' in client.get(page_of(account)).content.decode()
    refused = client.post(page_of(account), data | {"max_exposure": "-1"})
    assert "max_exposure" in refused.context["adminform"].form.errors


def balances_typed(account, free: str, shown: str = "") -> dict:
    row = account.balances.get(currency="USDT")
    return {
        "name": "Paper", "balances-TOTAL_FORMS": 1, "balances-INITIAL_FORMS": 1, "balances-0-id": row.pk,
        "balances-0-account": account.pk, "balances-0-free": free, "balances-0-currency": "EUR",
        "initial-balances-0-free": shown or f"{row.free.normalize():f}", "balances-0-payments": row.payments,
    }  # fmt: skip


def money_events() -> list[tuple[str, str]]:
    return list(Event.objects.filter(bot=None).order_by("id").values_list("code", "message"))


def test_a_typed_balance_is_a_deposit_or_a_withdrawal(client, boss, account):
    for free in ("12000.5", "500", "500"):
        assert client.post(page_of(account), balances_typed(account, free)).status_code == 302
        assert account.balances.get().free == Decimal(free)
    assert account.balances.get().currency == "USDT"  # the currency of money is never changed
    assert money_events() == [
        ("deposit", "2000.5 USDT paid into account Paper by boss."),
        ("withdrawal", "11500.5 USDT withdrawn from account Paper by boss."),
    ]


def test_money_that_a_bot_took_meanwhile_is_not_given_back_by_saving(client, boss, bot, account):
    """The form showed 10000; a bot started with 1000 before it was sent."""
    page = client.get(page_of(account)).content.decode()
    assert 'name="initial-balances-0-free" value="10000"' in page
    services.start(bot, START)
    client.post(page_of(account), balances_typed(account, "10000", shown="10000"))
    assert (account.balances.get().free, money_events()) == (9000, [])
    client.post(page_of(account), balances_typed(account, "10500", shown="10000"))
    assert account.balances.get().free == 9500
    answer = client.post(page_of(account), balances_typed(account, "0", shown="10000"), follow=True)
    assert "account Paper has less than 10000 USDT free; nothing was withdrawn." in told(answer)
    assert account.balances.get().free == 9500
    assert client.post(page_of(account), balances_typed(account, "1", shown="x")).status_code == 200


def test_a_form_that_is_sent_twice_pays_once(client, boss, account):
    page = client.get(page_of(account)).content.decode()
    assert 'name="balances-0-payments" value="0"' in page
    sent = balances_typed(account, "10500")
    assert client.post(page_of(account), sent).status_code == 302
    answer = client.post(page_of(account), sent, follow=True)
    assert any("paid into or withdrawn from account Paper since this form was opened" in one for one in told(answer))
    assert (account.balances.get().free, len(money_events())) == (10_500, 1)
    # Nothing typed is nothing paid, whoever paid meanwhile; a form of before is no payment.
    answer = client.post(page_of(account), sent | {"balances-0-free": "10000"}, follow=True)
    assert not any("paid into" in one for one in told(answer))
    del sent["balances-0-payments"]
    assert "payments is needed: open the page anew." in client.post(page_of(account), sent).content.decode()
    assert len(money_events()) == 1


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("Dogs!", "currency must be one that Simulated trades, such as USDT, not 'Dogs!'."),
        (" ", "currency is needed."),
        ("x" * 21, "currency must be at most 20 characters long, not 21."),
        ("usdt", "Please correct the duplicate values below."),
    ],
)
def test_money_is_of_a_currency_that_the_exchange_trades(client, boss, account, market, typed, sentence):
    data = balances_typed(account, "10000") | {
        "balances-TOTAL_FORMS": 2, "balances-1-currency": typed, "balances-1-free": "7",
        "balances-1-account": account.pk, "balances-1-payments": 0,
    }  # fmt: skip
    errors = client.post(page_of(account), data).context["inline_admin_formsets"][0].formset.errors
    assert [message for messages in errors[1].values() for message in messages] == [sentence]
    assert account.balances.count() == 1


def test_an_account_is_opened_with_the_money_of_an_exchange_that_has_markets(client, boss, exchange, market):
    data = {
        "owner": boss.pk, "name": "New", "mode": "paper", "exchange": exchange.pk, "balances-TOTAL_FORMS": 1,
        "balances-INITIAL_FORMS": 0, "balances-0-currency": "usdt", "balances-0-free": "5", "balances-0-payments": 0,
    }  # fmt: skip
    other = Exchange.objects.create(slug="other", name="Other", ccxt_id="simulated")
    add = reverse("admin:bots_account_add")
    refused = client.post(add, data | {"exchange": other.pk}).content.decode()
    assert "currency must be one that Other trades; it has no markets yet." in refused
    assert client.post(add, data | {"exchange": ""}).status_code == 200
    assert client.post(add, data).status_code == 302
    assert Account.objects.get(name="New").balances.get().currency == "USDT"


def test_a_new_currency_is_a_deposit(client, boss, account, market):
    data = balances_typed(account, "10000") | {
        "balances-TOTAL_FORMS": 2, "balances-1-currency": " sol ", "balances-1-free": "7",
        "balances-1-account": account.pk, "balances-1-payments": 0,
    }  # fmt: skip
    assert client.post(page_of(account), data).status_code == 302
    assert account.balances.get(currency="SOL").free == 7
    assert money_events() == [("deposit", "7 SOL paid into account Paper by boss.")]
    history = client.get(reverse("admin:bots_account_history", args=[account.pk])).content.decode()
    assert "Added balance" in history


def test_a_balance_is_never_deleted_or_typed_below_nothing(client, boss, account):
    client.post(page_of(account), balances_typed(account, "10000") | {"balances-0-DELETE": "on"})
    assert client.post(page_of(account), balances_typed(account, "-1")).status_code == 200
    assert account.balances.get().free == 10_000
    assert money_events() == []


def test_no_account_is_made_for_replays(client, boss, exchange):
    data = {
        "owner": boss.pk, "name": "Replay", "mode": "replay", "exchange": exchange.pk, "balances-TOTAL_FORMS": 0,
        "balances-INITIAL_FORMS": 0,
    }  # fmt: skip
    form = client.post(reverse("admin:bots_account_add"), data).context["adminform"].form
    assert "mode" in form.errors
    assert [value for value, _ in form.fields["mode"].choices] == ["paper", "live"]
    assert not Account.objects.exists()
