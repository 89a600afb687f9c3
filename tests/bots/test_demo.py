"""The demonstration: bots that have traded since yesterday, made once, whatever interrupts it."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from bots import demo, runs, services
from bots.models import Account, Balance, Bot, EquitySnapshot, Event, Run, Trade
from markets.models import Candle, Exchange, Feed, Market


@pytest.fixture(autouse=True)
def _password(monkeypatch, db):
    monkeypatch.setenv("DEMO_PASSWORD", "open sesame")


def seeded() -> str:
    out = StringIO()
    call_command("seed_demo", stdout=out)
    return out.getvalue()


def test_the_demo_has_running_bots_that_traded_and_up_to_date_figures(client):
    assert seeded() == ""  # the password is known to who gave it
    assert client.login(username="demo", password="open sesame")
    assert get_user_model().objects.get().is_superuser
    assert list(Bot.objects.values_list("status", flat=True)) == ["running"] * len(demo.BOTS)
    for run in Run.objects.all():
        feed = Feed.objects.get(market=run.market, timeframe=60)
        assert run.bar_time == feed.synced_to
        assert run.trades_count == run.trades.count() > 0
        assert EquitySnapshot.objects.filter(run=run).count() > 200
    reserved = sum(run.allocation for run in Run.objects.all())
    assert Balance.objects.get().free == demo.MONEY - reserved
    assert not runs.due().exists()
    assert Feed.objects.count() == Market.objects.count() == 24

    before = [model.objects.count() for model in (Bot, Run, Trade, Account, Market, Exchange)]
    with pytest.raises(CommandError, match="user demo exists already: the demonstration is there") as caught:
        seeded()
    assert caught.value.returncode == 2
    assert [model.objects.count() for model in (Bot, Run, Trade, Account, Market, Exchange)] == before


def test_a_password_that_nobody_gave_is_made_and_told(client, monkeypatch):
    monkeypatch.delenv("DEMO_PASSWORD")
    told = seeded()
    assert told.startswith("Demo login: user demo, password ")
    assert client.login(username="demo", password=told.split()[-1])


def test_an_interrupted_seed_leaves_no_half_of_people_and_bots_and_goes_on(monkeypatch):
    start, started = services.start, []

    def failing(bot, since):
        started.append(bot)
        if len(started) == 2:
            raise KeyboardInterrupt
        return start(bot, since)

    monkeypatch.setattr(services, "start", failing)
    with pytest.raises(KeyboardInterrupt):
        seeded()
    candles = Candle.objects.count()
    assert candles > 20 * 2000
    assert [model.objects.count() for model in (get_user_model(), Account, Bot, Run)] == [0] * 4
    seeded()
    assert Bot.objects.filter(status="running").count() == len(demo.BOTS)
    assert (Exchange.objects.count(), Market.objects.count(), Feed.objects.count()) == (1, 24, 24)
    assert candles <= Candle.objects.count() <= candles + 40  # fetched once


def test_runs_of_a_seed_that_died_before_its_last_step_are_led_on_by_the_worker(monkeypatch):
    monkeypatch.setattr(runs, "advance_due", lambda: pytest.fail("died"))
    with pytest.raises(pytest.fail.Exception, match="died"):
        seeded()
    monkeypatch.undo()
    assert runs.advance_due() == len(demo.BOTS)
    assert Trade.objects.exists()


def test_the_futures_bot_of_the_demo_knew_every_rate(client):
    """A day holds three payments at least; none is missed with a warning."""
    seeded()
    assert Run.objects.get(kind="futures_grid").funding_payments.exists()
    assert not Event.objects.filter(code="funding", level="warning").exists()
