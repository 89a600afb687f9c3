"""Bots in the admin: configured, started and stopped there; nobody else's are in sight; history cannot be undone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import ProtectedError
from django.urls import reverse

from bots import runs, services
from bots.models import Account, Balance, Bot, Event, Order, Position, Run, Trade
from orchestrator.benchmarks import Queries
from tests.bots.conftest import GRID, START, bars

RECORDS = {"run": Run, "order": Order, "trade": Trade, "event": Event}
PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


@pytest.fixture
def boss(client, db):
    """A logged-in superuser."""
    user = get_user_model().objects.create_superuser("boss", password="secret")
    client.force_login(user)
    return user


@pytest.fixture
def staff(db):
    """Staff with every permission on this app, who is not a superuser."""
    user = get_user_model().objects.create_user("bob", password="secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["bots", "auth", "markets"]))
    return user


@pytest.fixture
def traded(bot, close):
    """A running bot with orders, trades and events."""
    run = services.start(bot, START)
    close(bars(*PASS))
    runs.advance_due()
    run.refresh_from_db()
    bot.refresh_from_db()
    return run


def listed(model: str) -> str:
    return reverse(f"admin:bots_{model}_changelist")


def page_of(row) -> str:
    return reverse(f"admin:bots_{row._meta.model_name}_change", args=[row.pk])


def typed(account, market, **change) -> dict:
    return {
        "name": "New", "account": account.pk, "market": market.pk, "timeframe": 60, "allocation": "1000",
        "param_lower": "90", "param_upper": "110", "param_lines": "21", "param_spacing": "arithmetic",
        "param_size": "base", "param_trigger_price": "", "param_stop_loss": "", "param_take_profit": "",
        "param_stop_loss_by": "price", "param_stop_loss_delay": "0", "param_take_profit_by": "price",
        "param_take_profit_delay": "0", "param_active_buys": "0", "param_active_sells": "0", "param_sell_at_end": "on",
        "limit_at_drawdown": "sell",
    } | change  # fmt: skip


def act(client, name: str, *bots: Bot, **more):
    data = {"action": name, "_selected_action": [bot.pk for bot in bots]}
    return client.post(listed("bot"), data, follow=True, **more)


def told(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_a_bot_is_added_with_the_fields_of_its_kind(client, boss, account, market):
    add = reverse("admin:bots_bot_add") + "?kind=grid"
    page = client.get(add).content.decode()
    assert "Lowest price line." in page
    assert "Buys low and sells high between two prices." in page
    assert 'name="param_upper"' in page
    assert client.post(add, typed(account, market)).status_code == 302
    bot = Bot.objects.get()
    assert (bot.owner, bot.kind, bot.params) == (account.owner, "grid", {"lower": 90.0, "upper": 110.0, "lines": 21})


def test_a_wrong_value_is_told_at_its_field_and_nothing_is_stored(client, boss, account, market):
    response = client.post(reverse("admin:bots_bot_add"), typed(account, market, param_upper="80"))
    assert response.status_code == 200
    assert response.context["adminform"].form.errors == {"param_upper": ["upper must be above lower (90), not 80."]}
    assert not Bot.objects.exists()


@pytest.mark.parametrize("market", ["abc", "1e3", "\u0661", "-1"])
def test_a_market_that_is_no_number_is_told_at_its_field(client, boss, account, market):
    response = client.post(reverse("admin:bots_bot_add"), typed(account, account) | {"market": market})
    assert response.status_code == 200
    sentence = "market must be one that is stored, not the one that was sent."
    assert response.context["adminform"].form.errors["market"] == [sentence]


def test_the_form_of_a_new_bot_marks_the_chosen_kind(client, boss):
    page = client.get(reverse("admin:bots_bot_add") + "?kind=dca").content.decode()
    assert "<strong>DCA</strong>" in page
    assert "?kind=grid" in page
    assert "?kind=dca" not in page.split("<strong>DCA</strong>")[1]


def test_a_bot_is_changed_and_its_history_says_what(client, boss, bot, account, market):
    response = client.post(page_of(bot), typed(account, market, name="Grid", allocation="900", param_lines="5"))
    assert response.status_code == 302
    bot.refresh_from_db()
    assert (bot.allocation, bot.params) == (900, GRID)
    history = client.get(reverse("admin:bots_bot_history", args=[bot.pk])).content.decode()
    assert "Changed Allocation." in history


def test_the_page_of_a_running_bot_works_and_fixes_what_its_run_holds(client, boss, bot, account, traded, exchange):
    page = client.get(page_of(bot)).content.decode()
    assert "Started with 1000 USDT." in page
    other = services.open_paper_account(bot.owner, "Other", exchange, {})
    response = client.post(page_of(bot), typed(other, bot.market, name="Renamed"))
    assert response.status_code == 302
    bot.refresh_from_db()
    assert (bot.name, bot.account, bot.status) == ("Renamed", account, "running")


def test_saving_a_form_never_turns_back_what_happened_meanwhile(client, boss, bot, account, market, monkeypatch):
    """The status is not the form's: a bot that started between reading and writing stays started."""
    from bots.admin import BotAdmin

    save = BotAdmin.save_model

    def start_first(self, request, obj, form, change):
        services.start(Bot.objects.get(pk=obj.pk), START)
        save(self, request, obj, form, change)

    monkeypatch.setattr(BotAdmin, "save_model", start_first)
    assert client.post(page_of(bot), typed(account, market, name="Renamed")).status_code == 302
    bot.refresh_from_db()
    assert (bot.name, bot.status, bot.reason) == ("Renamed", "running", "Started with 1000 USDT.")


def test_bots_are_started_paused_resumed_and_stopped_from_the_list(client, boss, bot):
    for action, status, sentence in (
        ("start", "running", "1 bot started."),
        ("pause", "paused", "1 bot paused."),
        ("resume", "running", "1 bot resumed."),
        ("stop_and_keep", "stopped", "1 bot stopped."),
        ("start", "running", "1 bot started."),
        ("stop_and_sell", "stopped", "1 bot stopped."),
    ):
        assert told(act(client, action, bot)) == [sentence]
        bot.refresh_from_db()
        assert bot.status == status


def test_one_refusal_does_not_hold_back_the_others(client, boss, bot, account, market):
    poor = Bot.objects.create(
        owner=bot.owner, account=account, market=market, name="Poor", kind="grid", timeframe=60,
        allocation=Decimal(50_000), params=GRID,
    )  # fmt: skip
    assert sorted(told(act(client, "start", bot, poor))) == [
        "1 bot started.",
        "Poor: allocation is 50000 USDT, more than account Paper has free.",
    ]
    bot.refresh_from_db()
    assert bot.status == "running"


def test_actions_need_post_and_a_token(boss, bot):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(boss)
    assert act(strict, "start", bot).status_code == 403
    strict.get(listed("bot"), {"action": "start", "_selected_action": bot.pk})
    bot.refresh_from_db()
    assert bot.status == "draft"


@pytest.mark.parametrize("permissions", [[], ["view_bot"]])
def test_who_may_only_look_cannot_start_anything(client, bot, permissions):
    """A person without the right to change bots has none of the actions."""
    user = bot.owner
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    act(client, "start", bot)
    bot.refresh_from_db()
    assert bot.status == "draft"


def test_other_staff_see_none_of_it(client, staff, bot, account, traded):
    client.force_login(staff)
    rows = {
        "bot": bot, "account": account, "run": traded, "order": Order.objects.first(), "trade": Trade.objects.first(),
        "event": Event.objects.first(),
    }  # fmt: skip
    for model, row in rows.items():
        assert client.get(listed(model)).context["cl"].result_count == 0, model
        assert client.get(page_of(row)).status_code == 302, model  # to the index: there is no such row
    act(client, "stop_and_keep", bot)
    bot.refresh_from_db()
    assert bot.status == "running"


def test_other_staff_cannot_use_the_account(client, staff, account, market):
    client.force_login(staff)
    add = reverse("admin:bots_bot_add")
    form = client.get(add).context["adminform"].form
    assert not form.fields["account"].queryset.exists()
    response = client.post(add, typed(account, market))
    assert "account" in response.context["adminform"].form.errors
    assert not Bot.objects.exists()


@pytest.mark.parametrize("model", RECORDS)
def test_records_are_read_and_never_edited(client, boss, traded, model):
    row = RECORDS[model].objects.first()
    page = client.get(page_of(row))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    before = list(RECORDS[model].objects.order_by("pk").values())
    assert client.get(reverse(f"admin:bots_{model}_add")).status_code == 403
    assert client.post(page_of(row), {"reason": "x", "amount": "1", "message": "x"}).status_code == 403
    assert client.post(reverse(f"admin:bots_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    client.post(listed(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert list(RECORDS[model].objects.order_by("pk").values()) == before


@pytest.mark.parametrize("model", ["bot", "account", *RECORDS])
def test_lists_and_searches_answer(client, boss, traded, model):
    assert client.get(listed(model)).status_code == 200
    assert client.get(listed(model), {"q": "Grid"}).status_code == 200


@pytest.mark.parametrize("model", ["bot", "account", *RECORDS])
def test_a_list_costs_the_same_number_of_queries_however_long(client, boss, bot, account, traded, model, close):
    def queries() -> int:
        with Queries(connection) as captured:
            client.get(listed(model))
        return len(captured)

    queries()  # what is asked once a process
    before = queries()
    for number in range(5):
        owner = get_user_model().objects.create_user(f"user {number}")
        theirs = services.open_paper_account(owner, "Paper", account.exchange, {"USDT": Decimal(5000)})
        more = Bot.objects.create(
            owner=owner, account=theirs, market=bot.market, name=f"Grid {number}", kind="grid", timeframe=60,
            allocation=Decimal(1000), params=GRID,
        )  # fmt: skip
        services.start(more, START)
    runs.advance_due()
    assert queries() == before


def test_figures_are_shown_without_the_zeros_of_their_columns(client, boss, bot, account, traded):
    for model in ("bot", "order", "trade"):
        page = client.get(listed(model)).content.decode()
        assert "0000000000" not in page, model
    for row in (bot, account, traded, Order.objects.first(), Trade.objects.first()):
        assert "0000000000" not in client.get(page_of(row)).content.decode(), row


# --- what is never deleted ---------------------------------------------------------------------------------------


def history() -> list[int]:
    return [model.objects.count() for model in (Bot, Run, Order, Trade, Position, Event, Account, Balance)]


def test_a_bot_that_never_ran_can_be_deleted(client, boss, bot):
    response = client.post(reverse("admin:bots_bot_delete", args=[bot.pk]), {"post": "yes"})
    assert response.status_code == 302
    assert not Bot.objects.exists()


def test_a_bot_that_ran_cannot_be_deleted_by_any_button(client, boss, bot, traded):
    before = history()
    delete = reverse("admin:bots_bot_delete", args=[bot.pk])
    assert client.get(delete).status_code == 403
    assert client.post(delete, {"post": "yes"}).status_code == 403
    client.post(listed("bot"), {"action": "delete_selected", "_selected_action": [bot.pk], "post": "yes"})
    assert history() == before


@pytest.mark.parametrize("what", ["account", "owner", "market", "exchange"])
def test_nothing_that_a_bot_stands_on_is_deleted_from_under_its_trades(client, boss, bot, account, traded, what):
    before = history()
    services.stop(bot, close_position=False)
    before = history()
    row = {"account": account, "owner": bot.owner, "market": bot.market, "exchange": account.exchange}[what]
    delete = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])
    for response in (client.get(delete), client.post(delete, {"post": "yes"})):
        assert response.status_code in (200, 403)
        assert response.status_code == 403 or response.context["protected"]
    with pytest.raises(ProtectedError):
        row.delete()
    assert history() == before
    assert type(row).objects.filter(pk=row.pk).exists()
