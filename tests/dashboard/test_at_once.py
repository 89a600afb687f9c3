"""The same form sent twice at once: one answer is kept, and the other says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction

from bots import backtests, runs, services
from bots.kinds.parameters import ParamsError
from bots.models import Backtest, Balance, Bot, Run
from dashboard import tokens
from dashboard.api import bot_input
from dashboard.models import ApiToken
from markets import candles
from markets.models import Market
from tests.dashboard.cast import PARAMS, make_account, make_market, make_user

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


@pytest.fixture
def cast(transactional_db):
    owner, market = make_user("owner"), make_market()
    return owner, make_account(owner, market), market


@pytest.fixture
def token_of(redis):
    """The text of a new token that may trade."""
    return lambda owner: tokens.create(owner, "script", "trade")[1]


def while_another_waits(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """What the second comes to, or raises, when it begins before the first has committed."""
    told: list[Any] = []

    def ask() -> None:
        try:
            told.append(second())
        except Exception as fault:  # a thread's exception would be lost
            told.append(fault)
        finally:
            connections.close_all()

    thread = threading.Thread(target=ask)
    with transaction.atomic(), connection.cursor() as cursor:
        first()
        thread.start()
        while thread.is_alive() and not cursor.execute(WAITING).fetchone()[0]:
            thread.join(0.01)
    thread.join(30)
    return told[0]


def grid(owner, account, market) -> Bot:
    return Bot(
        owner=owner, account=account, market=market, name="Mine", kind="grid", allocation=Decimal(1000), params=PARAMS
    )


def test_a_bot_created_twice_at_once_is_there_once_and_the_page_says_so(cast, client):
    owner, account, market = cast
    client.force_login(owner)
    answer = while_another_waits(
        lambda: services.configure(grid(*cast)), lambda: client.post("/bots/new/?kind=grid", typed(account, market))
    )
    assert answer.context["form"].errors == {"name": ["name must be new among owner's bots; 'Mine' is taken."]}
    assert Bot.objects.count() == 1


def test_a_bot_created_twice_at_once_in_the_admin_is_refused_at_its_name(cast, client):
    owner, account, market = cast
    owner.is_staff = owner.is_superuser = True
    owner.save()
    client.force_login(owner)
    answer = while_another_waits(
        lambda: services.configure(grid(*cast)),
        lambda: client.post("/admin/bots/bot/add/?kind=grid", typed(account, market)),
    )
    assert answer.status_code == 200
    assert "&#x27;Mine&#x27; is taken." in answer.content.decode()
    assert Bot.objects.count() == 1


def typed(account, market):
    return {
        "name": "Mine", "account": account.pk, "market": market.pk, "timeframe": 60, "allocation": "1000",
        "param_lower": "90", "param_upper": "110", "param_lines": "21", "param_spacing": "arithmetic",
        "param_size": "base", "param_stop_loss_by": "price", "param_take_profit_by": "price",
        "limit_at_drawdown": "sell",
    }  # fmt: skip


def test_a_bot_created_twice_at_once_through_the_api_is_refused_as_in_the_form(cast):
    owner, account, market = cast
    new = bot_input.BotNew(
        name="Mine", account=account.pk, market=market.pk, kind="grid", allocation="1000",
        params={"lower": 90, "upper": 110, "lines": 20},
    )  # fmt: skip
    told = while_another_waits(lambda: services.configure(grid(*cast)), lambda: bot_input.create(owner, new))
    assert isinstance(told, ParamsError)
    assert told.problems == {"name": "name must be new among owner's bots; 'Mine' is taken."}
    assert Bot.objects.count() == 1


def test_a_backtest_asked_for_twice_at_once_is_computed_once(cast):
    owner, _, market = cast

    def ask() -> tuple[Backtest, bool]:
        return backtests.ask(owner, "grid", PARAMS, {}, market, 60, Decimal(1000), None)

    asked: list[tuple[Backtest, bool]] = []
    told = while_another_waits(lambda: asked.append(ask()), ask)
    assert [asked[0][1], told[1]] == [True, False]
    assert told[0] == asked[0][0] == Backtest.objects.get()


def test_a_bot_renamed_to_a_name_that_is_just_taken_keeps_its_own(cast):
    other = grid(*cast)
    other.name = "Other"
    services.configure(other)
    other.name = "Mine"
    told = while_another_waits(lambda: services.configure(grid(*cast)), lambda: services.configure(other))
    assert isinstance(told, ParamsError)
    assert Bot.objects.get(pk=other.pk).name == "Other"


def test_two_changes_of_different_settings_are_both_kept(cast, token_of, client):
    bot = grid(*cast)
    services.configure(bot)
    other = Bot.objects.get(pk=bot.pk)
    other.name = "Renamed"

    def patch():
        headers = {"Authorization": f"Bearer {token_of(cast[0])}"}
        return client.patch(f"/api/bots/{bot.pk}", {"params": {"lines": 10}}, "application/json", headers=headers)

    told = while_another_waits(lambda: services.configure(other), patch)
    assert told.status_code == 200
    bot.refresh_from_db()
    assert (bot.name, bot.params["lines"]) == ("Renamed", 10)


def test_money_that_is_paid_in_twice_at_once_is_paid_in_once(cast):
    account = cast[1]
    told = while_another_waits(*[lambda: services.deposit(account, "EUR", Decimal(7), "owner", payments=0)] * 2)
    assert isinstance(told, services.Refused)
    assert account.balances.get(currency="EUR").free == 7


def opened(client, bot):
    """What a browser sends when the form of a bot is saved as it was opened."""
    context = client.get(f"/bots/{bot.pk}/edit/").context
    return typed(bot.account, bot.market) | {"seen": context["seen"], "then": "save"}


def test_of_two_saves_of_one_form_at_once_the_second_turns_nothing_back(cast, client):
    bot = grid(*cast)
    services.configure(bot)
    client.force_login(cast[0])
    sent = opened(client, bot)
    other = Bot.objects.get(pk=bot.pk)
    other.name = "Renamed"
    answer = while_another_waits(
        lambda: services.configure(other), lambda: client.post(f"/bots/{bot.pk}/edit/", sent | {"param_lines": "10"})
    )
    assert "Renamed was changed since this form was opened" in answer.content.decode()
    bot.refresh_from_db()
    assert (bot.name, bot.params["lines"]) == ("Renamed", 20)
    again = sent | {"seen": answer.context["seen"], "param_lines": "10"}
    assert client.post(f"/bots/{bot.pk}/edit/", again).status_code == 302
    bot.refresh_from_db()
    assert bot.params["lines"] == 10


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [("/bots/%s/edit/", 404, "Not found"), ("/admin/bots/bot/%s/change/", 200, "Perhaps it was deleted?")],
)
def test_a_bot_that_is_deleted_while_its_form_is_saved_is_gone_and_it_is_said(cast, client, path, status, sentence):
    owner = cast[0]
    owner.is_staff = owner.is_superuser = True
    owner.save()
    bot = grid(*cast)
    services.configure(bot)
    client.force_login(owner)
    sent = opened(client, bot)
    answer = while_another_waits(
        Bot.objects.filter(pk=bot.pk).delete, lambda: client.post(path % bot.pk, sent, follow=True)
    )
    assert (answer.status_code, sentence in answer.content.decode()) == (status, True)
    assert not Bot.objects.exists()


def test_two_changes_of_a_run_are_both_kept(cast, client, redis):
    owner, account, market = cast
    Balance.objects.create(account=account, currency="USDT", free=Decimal(5000))
    bot = grid(*cast)
    services.configure(bot)
    last = candles.load(market.pk, 60, limit=2)
    services.start(bot, int(last.time[-1]))
    runs.advance_due()
    Market.objects.update(last=float(last.close[-1]))
    keys = {name: tokens.create(owner, name, "trade")[1] for name in ("one", "two")}

    def patch(name, change):
        headers = {"Authorization": f"Bearer {keys[name]}"}
        sent = change | {"apply": "now"}
        return client.patch(f"/api/bots/{bot.pk}", sent, "application/json", headers=headers).status_code

    first: list[int] = []
    told = while_another_waits(
        lambda: first.append(patch("one", {"params": {"lines": 10}})), lambda: patch("two", {"allocation": "900"})
    )
    assert (first, told) == ([200], 200)
    run = Run.objects.latest("number")
    assert (run.number, run.params["lines"], run.allocation) == (3, 10, 900)


def test_a_token_that_is_made_twice_at_once_is_there_once_and_the_page_says_so(cast, client):
    owner = cast[0]
    client.force_login(owner)
    told = while_another_waits(
        lambda: tokens.create(owner, "script", "read"),
        lambda: client.post("/settings/tokens/", {"name": "script", "scope": "read", "lasts": "90"}),
    )
    assert (told.status_code, "was taken just now" in told.content.decode()) == (422, True)
    assert ApiToken.objects.count() == 1
