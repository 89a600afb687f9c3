"""An account's exposure: what its bots may hold together stays within what the account allows."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connections

from bots import runs, services
from bots.forms import form_for
from bots.guards import Guarded
from bots.models import Account, Bot, Event, Position, Run
from bots.services import Refused
from markets.models import Market
from tests.bots.conftest import GRID, START, bars


def make_bot(account, market, name="Grid", allocation=1000, **limited) -> Bot:
    return Bot.objects.create(
        owner=account.owner, account=account, market=market, name=name, kind="grid", timeframe=60,
        allocation=Decimal(allocation), params=GRID, limits=limited,
    )  # fmt: skip


@pytest.fixture
def tight(account):
    """The account, allowing bots to hold 1500."""
    account.max_exposure = Decimal(1500)
    account.save()
    return account


def refused(act, bot) -> str:
    with pytest.raises(Refused) as caught:
        act(bot)
    return str(caught.value)


def test_a_start_beyond_the_account_s_exposure_is_refused_and_recorded(tight, market):
    services.start(make_bot(tight, market, "One"))
    two = make_bot(tight, market, "Two")
    sentence = "max_exposure of account Paper is 1500 USDT; this bot may hold 1000 and the account's other bots 1000."
    assert refused(services.start, two) == sentence
    assert not two.runs.exists()
    assert list(two.events.values_list("level", "code", "message")) == [("warning", "refused", sentence)]
    assert tight.balances.get().free == 9000


def test_a_position_limit_makes_room(tight, market):
    services.start(make_bot(tight, market, "One"))
    services.start(make_bot(tight, market, "Two", max_position=500.0))
    assert "may hold 1 and the account's other bots 1500." in refused(
        services.start, make_bot(tight, market, "Three", max_position=1.0)
    )


def test_paused_bots_count_and_stopped_ones_do_not(tight, market):
    one, two = make_bot(tight, market, "One"), make_bot(tight, market, "Two")
    services.start(one)
    services.pause(one)
    assert "may hold 1000" in refused(services.start, two)
    services.stop(one, close_position=False)
    services.start(two)


def test_a_run_counts_with_what_it_began_with(tight, market):
    one = make_bot(tight, market, "One")
    services.start(one)
    one.refresh_from_db()
    one.limits = {"max_position": 10.0}
    services.configure(one)
    assert "other bots 1000." in refused(services.start, make_bot(tight, market, "Two"))


def test_a_resume_is_refused_when_the_account_allows_less_by_now(tight, market):
    one = make_bot(tight, market, "One")
    services.start(one)
    services.pause(one)
    Account.objects.update(max_exposure=999)
    assert refused(services.resume, one) == "max_exposure of account Paper is 999 USDT; this bot may hold 1000."
    assert Run.objects.get().status == "paused"
    assert Event.objects.filter(code="refused").count() == 1
    Account.objects.update(max_exposure=1000)
    services.resume(one)


def test_each_quote_currency_and_account_counts_by_itself(tight, market, exchange):
    services.start(make_bot(tight, market, "One"))
    bitcoin = Market.objects.create(
        exchange=exchange, symbol="SOL/BTC", base="SOL", quote="BTC", tick="0.01", lot="0.001", last=100.0
    )
    tight.balances.create(currency="BTC", free=2000)
    services.start(make_bot(tight, Market.objects.get(pk=bitcoin.pk), "In bitcoin"))
    other = services.open_paper_account(tight.owner, "Other", exchange, {"USDT": Decimal(2000)})
    services.start(make_bot(other, market, "Elsewhere"))
    running = set(Bot.objects.filter(status="running").values_list("name", flat=True))
    assert running == {"One", "In bitcoin", "Elsewhere"}


def test_an_account_without_a_bound_takes_every_bot_it_has_money_for(account, market):
    for number in range(10):
        services.start(make_bot(account, market, f"Grid {number}"))
    assert Bot.objects.filter(account=account, status="running").count() == 10


def test_the_form_refuses_a_bot_that_has_no_room_by_itself(tight, market):
    data = {
        "name": "New", "account": tight.pk, "market": market.pk, "timeframe": 60, "allocation": "2000",
        "param_lower": "90", "param_upper": "110", "param_lines": "21",
    }  # fmt: skip
    form = form_for("grid")(data)
    assert form.errors == {"allocation": ["max_exposure of account Paper is 1500 USDT; this bot may hold 2000."]}
    assert form_for("grid")(data | {"limit_max_position": "1500"}).is_valid()


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_cannot_pass_together(tight, market):
    for round_ in range(8):
        bots = [make_bot(tight, market, f"Grid {round_} {n}") for n in range(3)]
        ready, told = threading.Barrier(3), []

        def start(bot, ready=ready, told=told):
            ready.wait()
            try:
                services.start(bot, START)
            except Exception as fault:  # a thread's exception would be lost
                told.append(fault)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=start, args=[bot]) for bot in bots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert list(map(type, told)) == [Guarded] * 2, told
        alive = Run.objects.exclude(status="stopped")
        assert alive.count() == 1
        services.stop(alive.get().bot, close_position=False)


def test_what_a_stopped_bot_kept_counts_until_it_is_dismissed(tight, market, close):
    one, two = make_bot(tight, market, "One"), make_bot(tight, market, "Two")
    run = services.start(one, START)
    close(bars((100, 101, 99, 100), (100, 100, 91, 92)))
    runs.advance_due()
    services.stop(one, close_position=False)
    run.refresh_from_db()
    kept = Position.objects.get(run=run)
    assert (kept.status, kept.amount > 7) == ("kept", True)
    Market.objects.update(last=90.0)
    told = f"this bot may hold 1000 and the account's other bots {(run.position * 90).normalize():f}."
    assert refused(services.start, two).endswith(told)
    services.dismiss(kept, "ann")
    services.start(two)
    with pytest.raises(Refused, match=r"SOL is not one that was kept, or was dismissed already\."):
        services.dismiss(kept, "ann")
    message = f"The kept position of {run.position.normalize():f} SOL is dismissed by ann: it counts no more."
    assert Event.objects.get(code="dismissed").message == message
    assert tight.balances.get(currency="SOL").free == run.position
