from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from bots import services
from bots.models import Account, Bot, Halt, Order, Run
from tests.dashboard.cast import make_bot, make_draft, make_user

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def boss(db):
    return make_user("boss", is_staff=True, is_superuser=True)


@pytest.fixture
def theirs(stranger, market):
    return make_bot(stranger, market, name="Theirs")


def status(bot) -> str:
    return Bot.objects.get(pk=bot.pk).status


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_it_says_what_will_happen_to_orders_and_positions_before_it_asks(page, bot, theirs, headers):
    text = page("/halt/", **headers).text_
    assert "1 account, 1 running bot, 0 paused bots, 6 open orders, 1 position." in text
    assert "Every open order is withdrawn at once." in text
    assert "no stop loss and no take profit works" in text
    assert "csrfmiddlewaretoken" in text
    assert ("<html" in text) == (not headers)
    assert "Everybody" not in text
    assert status(bot) == "running"


def test_one_click_halts_the_visitor_s_own_accounts_and_no_other_s(client, owner, bot, theirs):
    client.force_login(owner)
    answer = client.post("/halt/", follow=True)
    assert "My accounts halted: 1 bot paused." in answer.content.decode()
    assert (status(bot), status(theirs)) == ("paused", "running")
    assert not Order.objects.filter(bot=bot, status="open").exists()
    assert Bot.objects.get(pk=bot.pk).reason.startswith("Halted by owner: ")


def test_the_overview_shows_the_halt_and_leads_to_its_release(client, owner, bot):
    client.force_login(owner)
    assert 'href="/release/"' not in client.get("/").content.decode()
    client.post("/halt/")
    text = client.get("/").content.decode()
    assert "paper is halted" in text
    assert "Halted by owner." in text
    assert 'href="/release/"' in text
    assert "paper since 20" in client.get("/release/").content.decode()
    assert "My accounts released: paused bots can be resumed." in client.post("/release/", follow=True).content.decode()
    assert not Account.objects.exclude(halted_at=None).exists()
    assert "nothing was halted" in client.post("/release/", follow=True).content.decode()


def test_positions_are_sold_when_asked_for(client, owner, market):
    account = services.open_paper_account(owner, "Play", market.exchange, {"USDT": Decimal(5000)})
    bot = make_draft(owner, market)
    bot.account, bot.params = account, {"lower": 90.0, "upper": 110.0, "lines": 10}
    bot.save()
    services.start(bot)
    client.force_login(owner)
    answer = client.post("/halt/", {"close_positions": "1"}, follow=True)
    assert "My accounts halted: 1 bot stopped and sold." in answer.content.decode()
    assert status(bot) == "stopped"
    refusal = client.post(f"/bots/{bot.pk}/start/", follow=True).content.decode()
    assert "Account Play is halted since 20" in refusal


def test_a_superuser_may_halt_everybody_and_nobody_else_may(client, owner, boss, bot, theirs):
    client.force_login(owner)
    assert client.post("/halt/", {"scope": "all"}).status_code == 404
    assert (status(bot), Halt.objects.exists()) == ("running", False)
    client.force_login(boss)
    assert "2 accounts, 2 running bots, 0 paused bots, 12 open orders, 2 positions." in (
        client.get("/halt/").content.decode()
    )
    client.post("/halt/", {"scope": "all"})
    assert (status(bot), status(theirs)) == ("paused", "paused")
    assert Halt.objects.get().reason == "Halted by boss."


def test_a_halt_of_all_is_released_by_a_superuser_alone(client, owner, boss, bot):
    Halt.objects.create(pk=1, halted_at=timezone.now(), reason="Halted by boss.")
    client.force_login(owner)
    text = client.get("/").content.decode()
    assert "All accounts are halted" in text
    assert 'href="/release/"' not in text
    client.post("/release/")
    assert client.post("/release/", {"scope": "all"}).status_code == 404
    assert Halt.objects.exists()
    client.force_login(boss)
    text = client.get("/release/").content.decode()
    assert 'value="all" checked' in text
    client.post("/release/", {"scope": "all"})
    assert not Halt.objects.exists()


@pytest.mark.parametrize("path", ["/halt/", "/release/"])
def test_one_account_can_be_named_and_another_s_is_not_there(client, owner, boss, bot, theirs, path):
    client.force_login(owner)
    for pk in (theirs.account_id, 999_999, "x", "9" * 30):
        assert client.get(f"{path}?account={pk}").status_code == 404
        assert client.post(f"{path}?account={pk}").status_code == 404
    assert client.get(f"{path}?account={bot.account_id}").status_code == 200
    client.force_login(boss)
    assert client.get(f"{path}?account={theirs.account_id}").status_code == 200


def test_halting_one_account_leaves_the_others(client, owner, market, bot):
    real = make_bot(owner, market, name="Real", mode="live")
    client.force_login(owner)
    client.post(f"/halt/?account={real.account_id}")
    assert (status(bot), status(real)) == ("running", "paused")


def test_a_replay_is_nobody_s_to_halt(client, boss, owner, market, bot):
    replay = make_bot(owner, market, name="Replay", mode="replay")
    client.force_login(boss)
    assert client.get(f"/halt/?account={replay.account_id}").status_code == 404
    client.post("/halt/", {"scope": "all"})
    assert Run.objects.get(bot=replay).status == "running"


@pytest.mark.parametrize("path", ["/halt/", "/release/"])
def test_looking_changes_nothing_and_a_change_needs_the_token(bot, owner, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    client.get(path)
    assert client.post(path).status_code == 403
    assert (status(bot), Account.objects.get(pk=bot.account_id).halted_at) == ("running", None)


@pytest.mark.parametrize("bots", [1, 20])
def test_asking_takes_five_queries_however_many_bots(page, owner, market, django_assert_num_queries, bots):
    for number in range(bots):
        make_bot(owner, market, name=f"Grid {number}")
    # session, user, runs, orders, accounts
    with django_assert_num_queries(5):
        page("/halt/")


def test_a_visitor_without_accounts_is_told_that_nothing_runs(page):
    assert "0 accounts, 0 running bots" in page("/halt/").text_
