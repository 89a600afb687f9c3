"""Edit bot: saved for the next start, or changed now after the exact difference was shown; who did what is kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone

from bots import equity, runs, services
from bots.models import Balance, Bot, EquitySnapshot, Run
from markets import candles
from markets.models import Market
from tests.dashboard.cast import make_account, make_bot, make_draft, make_user

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def draft(owner, market):
    made = make_draft(owner, market)
    Balance.objects.create(account=make_account(owner, market), currency="USDT", free=Decimal(5000))
    return made


@pytest.fixture
def running(draft, market):
    """A grid that has begun with the last stored candle."""
    last = candles.load(market.pk, 60, limit=2)
    services.start(draft, int(last.time[-1]))
    runs.advance_due()
    Market.objects.update(last=float(last.close[-1]))
    draft.refresh_from_db()
    assert draft.status == "running"
    return draft


def address(bot) -> str:
    return f"/bots/{bot.pk}/edit/"


def typed(page, bot, **change):
    """What a browser sends: the fields, and which settings the form was opened with."""
    opened = page(address(bot)).context
    sent = {field.name: field.value() for field in opened["form"]}
    sent = {name: "on" if value is True else value for name, value in sent.items() if value not in (None, False)}
    return sent | {"seen": opened["seen"]} | change


def test_the_form_shows_the_bot_s_own_settings_and_tries_them(page, draft):
    answer = page(address(draft))
    assert answer.context["form"]["param_lines"].value() == "20"
    assert "At worst" in answer.text_
    assert "Save for the next start" not in answer.text_
    answer = page(address(draft) + "?days=30&param_lower=95&param_upper=105&param_lines=5", **FRAGMENT)
    assert len(answer.context["preview"].orders) == 4


def test_a_bot_that_does_not_run_is_saved_and_the_change_kept(page, client, draft):
    sent = typed(page, draft, param_lines="30", limit_max_drawdown="20")
    assert client.post(address(draft), sent | {"then": "save"}).headers["Location"] == draft.get_absolute_url()
    draft.refresh_from_db()
    assert (draft.params["lines"], draft.limits) == (30, {"max_drawdown": 20.0})
    text = page(f"/bots/{draft.pk}/?tab=changes").text_
    for shown in ("Lines", "30", "Limit max drawdown", "owner"):
        assert shown in text


def test_a_running_bot_is_saved_for_its_next_start(page, client, running):
    sent = typed(page, running, param_lines="30")
    client.post(address(running), sent | {"then": "later"})
    running.refresh_from_db()
    assert running.params["lines"] == 30
    assert Run.objects.get().params == {"lower": 90.0, "upper": 110.0, "lines": 20, "stop_loss": None}
    assert "Holds from the next start." in page(f"/bots/{running.pk}/?tab=changes").text_


def test_the_difference_is_shown_before_a_running_bot_is_changed(page, client, running):
    sent = typed(page, running, param_lines="39", allocation="2000")
    answer = client.post(address(running), sent | {"then": "review"})
    text = answer.content.decode()
    assert Run.objects.count() == 1
    for shown in ("What will happen", "Orders: ", "are taken over at", "come back", "Change now", "Allocation"):
        assert shown in text
    assert {one.fate for one in answer.context["orders"]} >= {"cancelled", "placed"}
    inputs = dict(answer.context["sent"])
    assert inputs["param_lines"] == "39"
    assert client.post(address(running), inputs | {"then": "apply"}).status_code == 302
    running.refresh_from_db()
    assert (running.status, running.params["lines"], running.allocation) == ("running", 39, 2000)
    assert Run.objects.get(number=2).allocation == 2000
    assert Run.objects.get(number=1).status == "stopped"


def test_the_curve_of_a_bot_that_was_changed_rises_strictly_in_time(page, client, running):
    sent = typed(page, running, param_lines="39")
    equity.snapshot()
    assert client.post(address(running), sent | {"then": "apply"}).status_code == 302
    equity.snapshot()
    assert EquitySnapshot.objects.update(time=timezone.now() - timedelta(minutes=1)) == 2
    data = page(f"/bots/{running.pk}/equity.json?period=all").json()
    assert len(data["time"]) == len(data["equity"]) > 1
    assert all(one < other for one, other in pairwise(data["time"]))
    gained = sum(run.equity - run.allocation for run in Run.objects.all())
    assert data["equity"][-1] - data["base"] == pytest.approx(float(gained))


def test_without_a_change_the_run_goes_on_as_it_is(page, client, running):
    for change in ({}, {"name": "Renamed"}):
        for then in ("review", "apply"):
            answer = client.post(address(running), typed(page, running, **change) | {"then": then})
            assert "Nothing was changed: run 1 of" in answer.content.decode()
    assert Run.objects.get().status == "running"


def test_what_was_saved_for_the_next_start_can_still_be_applied(page, client, running):
    client.post(address(running), typed(page, running, param_lines="39") | {"then": "later"})
    assert client.post(address(running), typed(page, running) | {"then": "apply"}).status_code == 302
    assert Run.objects.get(number=2).params["lines"] == 39


def test_a_bot_that_was_stopped_in_another_tab_is_saved_and_it_is_said(page, client, running):
    fixed = services.FIXED_WHILE_ALIVE
    sent = {name: value for name, value in typed(page, running, param_lines="39").items() if name not in fixed}
    services.stop(running, close_position=False)
    answer = client.post(address(running), sent | {"then": "review"})
    assert answer.context["form"].errors == {}
    assert "does not run any more" in answer.content.decode()
    answer = client.post(address(running), sent | {"then": "apply"}, follow=True)
    assert "was stopped meanwhile: it is saved" in answer.content.decode()
    running.refresh_from_db()
    assert (running.status, running.params["lines"], Run.objects.count()) == ("stopped", 39, 1)


def test_what_is_refused_is_said_and_the_form_comes_back(page, client, running):
    sent = typed(page, running, allocation="900000")
    for then in ("review", "apply"):
        answer = client.post(address(running), sent | {"then": then})
        assert "Nothing was changed: allocation is 900000 USDT" in answer.content.decode()
    assert Run.objects.count() == 1


def test_what_a_run_holds_is_fixed_in_the_form(page, client, running):
    sent = typed(page, running, timeframe="3600", name="Renamed")
    client.post(address(running), sent | {"then": "later"})
    running.refresh_from_db()
    assert (running.timeframe, running.name) == (60, "Renamed")


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_s_bot_is_not_there(client, draft, method):
    client.force_login(make_user("other"))
    assert getattr(client, method)(address(draft)).status_code == 404
    assert Bot.objects.get().name == draft.name


def test_stopping_what_does_not_run_is_not_asked(page, owner, market):
    stopped = make_bot(owner, market, status="stopped")
    answer = page(f"/bots/{stopped.pk}/stop/")
    assert answer.status_code == 302
    assert "is stopped: there is nothing to stop" in page(f"/bots/{stopped.pk}/").text_


def test_there_is_a_way_to_edit_and_clone_from_the_bot(page, draft):
    text = page(f"/bots/{draft.pk}/").text_
    assert f'href="/bots/{draft.pk}/edit/"' in text
    assert f'href="/bots/new/?clone={draft.pk}"' in text


def test_a_market_without_a_price_says_so(page, client, running):
    Market.objects.update(last=None)
    Run.objects.update(last_price=None)
    sent = typed(page, running, param_lines="39")
    assert "has no price yet" in client.post(address(running), sent | {"then": "review"}).content.decode()


def test_a_form_that_was_opened_before_another_s_change_turns_nothing_back(page, client, draft):
    """In another tab, through the API, by an administrator: sent as it is, it holds the settings of before."""
    opened = typed(page, draft, then="save")
    client.post(address(draft), opened | {"allocation": "750"})
    answer = client.post(address(draft), opened | {"param_lines": "10"})
    text = answer.content.decode()
    assert "was changed since this form was opened" in text
    draft.refresh_from_db()
    assert (draft.allocation, draft.params.get("lines", 20)) == (750, 20)
    assert answer.context["form"]["param_lines"].value() == "10"
    again = opened | {"seen": answer.context["seen"], "allocation": "750", "param_lines": "10"}
    assert client.post(address(draft), again).status_code == 302
    draft.refresh_from_db()
    assert (draft.allocation, draft.params["lines"]) == (750, 10)


def test_the_stretch_that_it_is_tried_on_is_marked(page, bot):
    text = page(f"/bots/{bot.pk}/edit/").text_
    assert "checked" in text.partition('name="days" value="90"')[2].partition(">")[0]
