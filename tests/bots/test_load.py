"""The data set to measure with."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from bots import services
from bots.models import Account, BookSnapshot, Bot, EquitySnapshot, Event, Order, Position, Run, Trade
from markets.models import Candle, Market


def seed(**options):
    out = StringIO()
    call_command("seed_load", stdout=out, **{"bots": 20, "trades": 1_000, "markets": 6} | options)
    return out.getvalue()


@pytest.fixture
def seeded(db):
    return seed()


def test_it_makes_as_many_as_it_is_asked_for(seeded):
    assert "20 bots on 6 markets with 1,000 trades of user load" in seeded
    assert (Bot.objects.count(), Trade.objects.count(), Market.objects.count()) == (20, 1_000, 6)
    assert sum(Run.objects.values_list("trades_count", flat=True)) == 1_000


def test_every_row_is_the_load_users_who_cannot_log_in(seeded):
    (user,) = get_user_model().objects.all()
    assert (user.username, user.has_usable_password(), user.is_staff) == ("load", False, False)
    for rows in (Bot, Account, Trade, Order, Position, Event):
        assert set(rows.objects.values_list("owner", flat=True)) == {user.pk}


def test_bots_are_of_several_kinds_and_in_every_state_and_have_a_history(seeded):
    assert len(set(Bot.objects.values_list("kind", flat=True))) > 3
    assert set(Bot.objects.values_list("status", flat=True)) == set(Bot.Status.values)
    assert set(Order.objects.values_list("status", flat=True)) == {"open", "closed", "canceled"}
    assert set(Event.objects.values_list("level", flat=True)) == {"info", "warning", "error"}
    assert Position.objects.filter(status="open").count() == 14  # of the runs that are alive
    assert EquitySnapshot.objects.count() > BookSnapshot.objects.count() > 700
    assert Candle.objects.count() == 6 * 360


def test_no_worker_trades_for_its_bots_and_they_can_be_stopped(seeded):
    assert not Market.objects.filter(exchange__enabled=True).exists()
    bot = Bot.objects.filter(status="running", market__type="spot").first()
    services.stop(bot, close_position=False)
    assert Bot.objects.get(pk=bot.pk).status == "stopped"


def test_a_second_data_set_is_refused_and_changes_nothing(seeded):
    with pytest.raises(CommandError, match="a data set is there already"):
        seed(user="other")
    assert get_user_model().objects.count() == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bots": 0}, "bots must be 1 to 100,000, not 0."),
        ({"trades": -5}, "trades must be 1 to 50,000,000, not -5."),
        ({"markets": 10_001}, "markets must be 1 to 10,000, not 10001."),
        ({"user": " "}, "user must be a name of 1 to 150 characters, not ' '."),
    ],
)
def test_what_it_cannot_make_is_refused(db, options, sentence):
    with pytest.raises(CommandError, match=sentence):
        seed(**options)
    assert not Bot.objects.exists()
