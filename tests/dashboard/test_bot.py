from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone

from bots import services
from bots.models import Account, Bot, EquitySnapshot, Event, Run
from dashboard.views.bot_actions import ACTIONS
from markets.models import Exchange, Feed, Market
from tests.dashboard.cast import make_bot, make_draft


def test_it_shows_figures_position_trades_and_the_reason_of_every_decision(page, bot):
    text = page(f"/bots/{bot.pk}/").text_
    for shown in (
        "+23.50",
        "of 1,000.00 USDT",
        "2.00 fees paid",
        "6 orders open",
        "4.0000 BTC",
        "Swing grid lacks cash.",
    ):
        assert shown in text
    assert "Lower price" in text
    assert 'id="chart-settings" type="application/json"' in text
    assert "Simulated money" in text


@pytest.mark.parametrize(
    ("tab", "shown"),
    [("orders", "−6.17"), ("log", "Swing grid bought at a level."), ("runs", "1,023.50"), ("trades", "102.25")],
)
def test_each_tab_shows_its_rows(page, bot, tab, shown):
    assert shown in page(f"/bots/{bot.pk}/?tab={tab}").text_


def test_the_head_says_why_it_does_not_trade(page, bot, owner, market):
    now = int(timezone.now().timestamp() * 1000)
    Run.objects.update(bar_time=now - 120_000)
    Feed.objects.update(synced_to=now - 90_000)
    answer = re.search(r'<p class="reason">([^<]+)</p>', page(f"/bots/{bot.pk}/").text_)[1]
    assert answer == (
        "Waiting for the price: 6 orders rest; the nearest buy at 100 is 1.23 % below it, the nearest sell at 95 is "
        "6.17 % below it."
    )
    Feed.objects.update(error="The exchange is in maintenance.")
    assert "fails. The exchange is in maintenance." in page(f"/bots/{bot.pk}/", **{"HX-Request": "true"}).text_


def test_it_shows_the_limits_in_force(page, bot):
    assert "No limits but its allocation." in page(f"/bots/{bot.pk}/").text_
    Bot.objects.update(limits={"max_position": 1.0})
    assert "Maximum position" not in page(f"/bots/{bot.pk}/").text_  # those of its next run
    Run.objects.update(limits={"max_position": 500.0, "max_drawdown": 12.5})
    text = page(f"/bots/{bot.pk}/").text_
    for shown in ("Maximum position", "500", "Maximum drawdown", "12.5", "Stop and sell"):
        assert shown in text
    assert "Cooldown after a loss" not in text


def test_a_kind_goes_by_its_own_name(page, owner, market):
    bot = make_draft(owner, market)
    Bot.objects.update(kind="dca", params={"base_order": 10, "safety_order": 10})
    assert "DCA · 1m" in page(f"/bots/{bot.pk}/").text_
    assert '<option value="dca">DCA</option>' in page("/bots/").text_


def test_a_draft_says_what_is_not_there_yet(page, owner, market):
    bot = make_draft(owner, market)
    text = page(f"/bots/{bot.pk}/").text_
    assert "A draft: it was never started." in text
    assert "0 orders open" not in text
    assert "No trades yet" in text
    assert "No open position" in text


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("draft", {"start"}),
        ("running", {"pause", "stop"}),
        ("paused", {"resume", "stop"}),
        ("stopped", {"start"}),
        ("failed", {"start"}),
    ],
)
def test_only_what_is_possible_is_offered(page, owner, market, status, offered):
    bot = make_draft(owner, market)
    Bot.objects.filter(pk=bot.pk).update(status=status)
    text = page(f"/bots/{bot.pk}/").text_
    assert {name for name in ("start", "pause", "resume", "stop") if f"/bots/{bot.pk}/{name}/" in text} == offered


@pytest.mark.parametrize("tab", ["trades", "orders", "log", "runs"])
@pytest.mark.parametrize("rows", [1, 60])
def test_it_takes_nine_queries_however_many_rows(page, owner, market, django_assert_num_queries, tab, rows):
    bot = make_bot(owner, market, trades=rows, orders=rows)
    Event.objects.bulk_create(Event(owner=owner, bot=bot, code="x", message="y") for _ in range(rows))
    # session, user, version; bot with figures, feeds of its market, last run, position, latest events, the open tab
    with django_assert_num_queries(9):
        page(f"/bots/{bot.pk}/?tab={tab}")


def test_the_engines_state_is_never_read_for_a_page(page, bot, django_assert_num_queries):
    with django_assert_num_queries(9) as queries:
        page(f"/bots/{bot.pk}/?tab=runs")
    assert not any('"bots_run"."state"' in query["sql"] for query in queries)


def test_a_fragment_holds_the_live_parts_alone(page, bot):
    text = page(f"/bots/{bot.pk}/", **{"HX-Request": "true"}).text_
    assert "<html" not in text
    assert 'id="candles"' not in text
    assert all(f'id="bot-{part}"' in text for part in ("head", "actions", "strip", "side", "tables"))


def test_the_chart_gets_order_lines_trade_markers_and_the_average_price(page, bot, django_assert_num_queries):
    # session, user, bot, open orders, position, trades
    with django_assert_num_queries(6):
        data = page(f"/bots/{bot.pk}/chart.json?timeframe=1h").json()
    assert data["orders"]["price"] == [95, 96, 97, 98, 99, 100]
    assert data["average_price"] == 100.0
    assert sum(data["trades"]["count"]) == 4
    assert all(time % 3600 == 0 for time in data["trades"]["time"])


def test_the_equity_is_thinned_to_a_thousand_points(page, bot, django_assert_num_queries):
    # session, user, bot with market, runs, snapshots, the last one before
    with django_assert_num_queries(6):
        data = page(f"/bots/{bot.pk}/equity.json").json()
    assert len(data["time"]) == len(data["equity"]) == 110
    assert data["equity"][-2:] == [1019.9, 1023.5]  # the last snapshot, and as it stands


def test_the_equity_of_a_changed_bot_rises_in_time_and_keeps_the_profit_of_its_runs(page, bot):
    first = bot.runs.get()
    seam = timezone.now().replace(microsecond=0) - timedelta(minutes=30)
    EquitySnapshot.objects.filter(time__gt=seam).delete()
    Run.objects.filter(pk=first.pk).update(status="stopped", stopped_at=seam, equity=1198)
    second = Run.objects.get(pk=first.pk)
    second.pk, second.number, second.status, second.stopped_at = None, 2, "running", None
    second.allocation, second.equity, second.started_at = Decimal(3000), Decimal(3010), seam
    second.save()
    for run, equity in ((first, 1198), (second, 3000)):
        EquitySnapshot.objects.create(bot=bot, run=run, time=seam, equity=equity, cash=0, position=0, price=1)
    for period in ("1d", "all"):
        data = page(f"/bots/{bot.pk}/equity.json?period={period}").json()
        assert all(one < other for one, other in pairwise(data["time"]))
        at = data["time"].index(int(seam.timestamp()))
        assert data["equity"][at - 1] == pytest.approx(3017.0, abs=0.2)
        assert data["equity"][at:] == [3198.0, 3208.0]
        assert data["base"] == 3000.0


def test_the_gain_of_a_period_is_measured_from_the_last_equity_before_it(page, bot):
    run = bot.runs.get()
    EquitySnapshot.objects.create(
        bot=bot, run=run, time=timezone.now() - timedelta(days=2), equity=1011, cash=0, position=0, price=1
    )
    bases = {period: page(f"/bots/{bot.pk}/equity.json?period={period}").json()["base"] for period in ("1d", "7d")}
    assert bases == {"1d": 1011.0, "7d": 1000.0}


@pytest.mark.parametrize(
    ("action", "sentence"),
    [("stop", "Its 6 open orders are withdrawn"), ("pause", "kept but not watched")],
)
def test_a_confirmation_says_what_happens_to_orders_and_position(page, bot, action, sentence):
    whole = page(f"/bots/{bot.pk}/{action}/").text_
    part = page(f"/bots/{bot.pk}/{action}/", **{"HX-Request": "true"}).text_
    assert sentence in whole
    assert sentence in part
    assert "<html" in whole
    assert "<html" not in part
    assert "csrfmiddlewaretoken" in part
    assert ("Close it at the market price" in part) == (action == "stop")


def test_a_confirmation_takes_five_queries(page, bot, django_assert_num_queries):
    # session, user, bot with figures, feeds of its market, position
    with django_assert_num_queries(5):
        page(f"/bots/{bot.pk}/stop/")


def test_looking_at_a_confirmation_changes_nothing(page, bot):
    page(f"/bots/{bot.pk}/stop/")
    bot.refresh_from_db()
    assert bot.status == "running"


def test_a_refusal_is_told_in_its_own_words(client, owner, market):
    bot = make_draft(owner, market)
    client.force_login(owner)
    answer = client.post(f"/bots/{bot.pk}/pause/", follow=True)
    assert "Draft grid is not running." in answer.content.decode()
    assert not Run.objects.filter(bot=bot).exists()


def test_a_bot_is_started_paused_resumed_and_stopped_from_its_page(client, owner, market):
    account = services.open_paper_account(owner, "Play", market.exchange, {"USDT": Decimal(5000)})
    bot = make_draft(owner, market)
    Bot.objects.filter(pk=bot.pk).update(account=account, params={"lower": 90.0, "upper": 110.0, "lines": 10})
    client.force_login(owner)
    for action, status in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        answer = client.post(f"/bots/{bot.pk}/{action}/", {"close_position": "0"}, follow=True)
        bot.refresh_from_db()
        assert bot.status == status, answer.content.decode()
        assert f"Draft grid is {ACTIONS[action].done}." in answer.content.decode()


def test_on_a_swap_it_shows_funding_and_free_margin(page, bot):
    """Equity 1,023.50; 4 BTC at 101.25 hold 405 of value, a third of it at 3 times."""
    Market.objects.filter(pk=bot.market_id).update(type="swap")
    Run.objects.update(kind="futures_grid", params={"leverage": 3}, funding=Decimal("0.75"))
    text = page(f"/bots/{bot.pk}/").text_
    for shown in ("2.00 fees paid, 0.75 funding paid", "Free margin", "888.50", "135.00 held at 3×", "+28.00"):
        assert shown in text
    assert "Free cash" not in text
    assert "Liquidated at" not in text, "what it holds is paid for in full"


def test_on_a_swap_it_says_where_the_position_is_liquidated(page, bot):
    """4 held for 1000 of its own and 1,400 borrowed: at 1400 / (4 × 0.99) = 353.54 the maintenance margin is left."""
    Market.objects.filter(pk=bot.market_id).update(type="swap")
    Run.objects.update(kind="futures_grid", params={"leverage": 3}, terms={"maintenance": 0.01}, cash=-1400)
    text = page(f"/bots/{bot.pk}/").text_
    assert re.search(r"<dt>Liquidated at</dt><dd>353\.54 USDT</dd>", text)


def test_a_position_on_a_swap_is_closed_and_nobody_is_asked(page, bot):
    Market.objects.filter(pk=bot.market_id).update(type="swap")
    text = page(f"/bots/{bot.pk}/stop/").text_
    assert "Its position of 4.0000 BTC is closed at the market price." in text
    assert "Keep it" not in text
    assert '<input type="hidden" name="close_position" value="1">' in text


def test_a_live_account_of_a_simulated_exchange_holds_no_real_money(page, bot):
    Account.objects.filter(pk=bot.account_id).update(mode="live")
    Bot.objects.update(status="stopped")
    assert "Simulated money: it is given" in page(f"/bots/{bot.pk}/start/").text_
    Exchange.objects.update(ccxt_id="binance")
    assert "Real money: it is given" in page(f"/bots/{bot.pk}/start/").text_


def test_what_it_made_on_paper_is_no_money_of_its_live_account(page, bot, owner, market):
    """A bot that stands still may be given another account or a market in another currency."""
    Run.objects.update(status="stopped", stopped_at=timezone.now())
    Bot.objects.update(status="stopped")
    assert "+23.50" in page("/bots/").text_
    live = Account.objects.create(owner=owner, name="Live", mode="live", exchange=market.exchange)
    Bot.objects.update(account=live)
    assert page(f"/api/bots/{bot.pk}?fields=pnl").json() == {"pnl": None}
    for path in (f"/bots/{bot.pk}/", "/bots/"):
        assert "+23.50" not in page(path).text_
    assert page(f"/bots/{bot.pk}/equity.json?period=all").json()["time"] == []
    runs = page(f"/bots/{bot.pk}/?tab=runs").text_
    assert "+23.50" in runs
    assert "paper USDT" in runs
