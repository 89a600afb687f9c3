"""New bot: a kind is chosen, its form is tried on the past while it is filled in, and a bot comes of it."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.urls import reverse
from django.utils.html import escape

from bots import runs
from bots.kinds import KINDS
from bots.models import Account, Balance, Bot
from dashboard.forms import groups, own_form_for
from markets import candles
from markets.models import Market
from tests.dashboard.cast import make_account, make_bot, make_market, make_user

NEW = "/bots/new/"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def account(owner, market):
    made = make_account(owner, market)
    Balance.objects.create(account=made, currency="USDT", free=Decimal(5000))
    return made


@pytest.fixture
def typed(account, market):
    """What a browser sends for a grid."""
    return {
        "kind": "grid", "name": "Mine", "account": account.pk, "market": market.pk, "timeframe": 60,
        "allocation": "1000", "days": "30", "param_lower": "90", "param_upper": "110", "param_lines": "21",
        "param_spacing": "arithmetic", "param_size": "base", "param_stop_loss_by": "price", "param_sell_at_end": "on",
        "param_take_profit_by": "price", "limit_at_drawdown": "sell",
    }  # fmt: skip


def script(answer, name):
    return json.loads(re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', answer.text_, re.S)[1])


def test_first_a_kind_is_chosen(page, account):
    text = page(NEW).text_
    for kind in KINDS.values():
        assert f"?kind={kind.slug}" in text
        assert escape(kind.summary) in text
        assert escape(kind.suits) in text
        assert kind.suits.startswith("Suits ")


@pytest.mark.parametrize("slug", [slug for slug, kind in KINDS.items() if not kind.margin])
def test_the_form_of_every_kind_begins_with_a_bot_that_could_be_created(page, client, account, market, slug):
    Market.objects.update(last=3421.5)
    answer = page(f"{NEW}?kind={slug}&market={market.pk}")
    assert answer.status_code == 200
    assert answer.context["form"].errors == {}
    assert answer.context["preview"].strip
    sent = {name: field.value() for name, field in ((f.name, f) for f in answer.context["form"])}
    sent = {name: "on" if value is True else value for name, value in sent.items() if value not in (None, False)}
    assert client.post(f"{NEW}?kind={slug}", sent).status_code == 302
    assert Bot.objects.get().kind == slug


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_parameter_and_limit_is_in_one_group_of_the_form(owner, market, kind):
    form = own_form_for(kind.slug)(owner=owner)
    names = [one.field.name for group in groups(form, market) for one in (*group.shown, *group.folded)]
    assert sorted(names) == sorted(name for name in form.fields if name.startswith(("param_", "limit_")))
    assert groups(form, market)[0].shown


def test_what_is_typed_is_tried_on_the_past(page, account, typed):
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in typed.items()), **FRAGMENT)
    assert "<form" not in answer.text_
    for word in ("Return", "At worst", "Drawdown", "Least investment", "5,000.00 USDT", "Profit of a grid"):
        assert word in answer.text_
    chart = script(answer, "preview-chart")
    assert len(chart["equity"]) == len(chart["held"]) == len(chart["time"]) > 100
    assert len(chart["orders"]["price"]) == 20
    assert len(chart["trades"]["time"]) > 5
    assert "300 of 43,200 candles of 1m are stored" in answer.text_
    assert "import_candles" in answer.text_
    assert not Bot.objects.exists()


def test_the_preview_is_the_engine_s_own_answer(page, account, market, typed):
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in typed.items()), **FRAGMENT)
    whole = candles.load(market.pk, 60)
    params = {"lower": 90.0, "upper": 110.0, "lines": 21}
    backtest = runs.backtest("grid", params, market, 60, Decimal(1000), whole)
    assert script(answer, "preview-chart")["equity"][-1] == pytest.approx(float(backtest.steps.equity[-1]))
    assert sum(script(answer, "preview-chart")["trades"]["count"]) == len(backtest.trades)
    assert answer.context["preview"].curve[0][1] == f"{float(backtest.steps.equity[-1]):,.2f}"


def test_what_is_wrong_is_said_at_its_field_without_a_result(page, account, typed):
    wrong = typed | {"param_upper": "80", "name": ""}
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in wrong.items()), **FRAGMENT)
    problems = script(answer, "preview-problems")
    assert problems["param_upper"] == "upper must be above lower (90), not 80."
    assert answer.status_code == 200
    assert script(answer, "preview-chart") == {}


def test_orders_that_would_be_refused_at_the_start_are_told_before_it(page, account, typed):
    limited = page(f"{NEW}?{urlencode(typed | {'limit_max_open_orders': '3'})}", headers=FRAGMENT)
    sentence = (
        "At the start 10 orders would be refused, the first with: “Order not placed: 3 open orders are the limit.”"
    )
    assert re.findall(r"At the start[^<]*", limited.text_) == [sentence]
    assert "would be refused" not in page(f"{NEW}?{urlencode(typed)}", headers=FRAGMENT).text_


def test_a_form_begins_with_play_money(page, account, owner, market):
    live = make_account(owner, market, "live")
    assert live.name < account.name
    assert page(f"{NEW}?kind=grid&market={market.pk}").context["form"]["account"].value() == str(account.pk)


def test_a_form_begins_with_an_account_that_has_the_market_s_currency_or_says_what_it_lacks(page, owner, market):
    """Of two with play money the second has it; with a live one that has it, no form begins."""
    first = make_account(owner, market)
    live = make_account(owner, market, "live")
    Balance.objects.create(account=live, currency="USDT", free=Decimal(9000))
    answer = page(f"{NEW}?kind=grid&market={market.pk}")
    assert answer.context["form"]["account"].value() == str(first.pk)
    lacks = "Account paper has no USDT free: to start the bot, ask an administrator to deposit it"
    assert f"{lacks}." in answer.text_
    second = Account.objects.create(owner=owner, exchange=market.exchange, mode="paper", name="second")
    Balance.objects.create(account=second, currency="USDT", free=Decimal("800.5"))
    answer = page(f"{NEW}?kind=grid&market={market.pk}")
    assert answer.context["form"]["account"].value() == str(second.pk)
    assert "to start the bot" not in answer.text_
    typed = {field.name: field.value() for field in answer.context["form"] if field.value()} | {"kind": "grid"}
    more = page(f"{NEW}?{urlencode(typed | {'allocation': 900})}", **FRAGMENT).text_
    assert "Account second has 800.50 USDT free, of the 900.00 of the allocation: to start the bot, ask" in more
    other = page(f"{NEW}?{urlencode(typed | {'account': first.pk})}", **FRAGMENT).text_
    assert f"{lacks}, or choose second, which has USDT." in other


def test_a_name_that_is_missing_holds_no_preview_back(page, account, typed):
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in (typed | {"name": ""}).items()), **FRAGMENT)
    assert script(answer, "preview-problems") == {"name": "name is needed."}
    assert script(answer, "preview-chart")["equity"]


def test_a_market_without_candles_says_what_would_bring_some(page, account, typed, owner):
    empty = make_market("ETH/USDT", minutes=0)
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in (typed | {"market": empty.pk}).items()), **FRAGMENT)
    assert "0 of 43,200 candles of 1m are stored" in answer.text_
    assert script(answer, "preview-chart")["orders"]["price"]
    answer = page(f"{NEW}?kind=grid&market={empty.pk}")
    assert answer.status_code == 200


def test_it_works_without_scripts_the_whole_page_holds_the_same(page, account, typed):
    answer = page(NEW + "?" + "&".join(f"{k}={v}" for k, v in typed.items()))
    assert 'formmethod="get"' in answer.text_
    assert "At worst" in answer.text_
    assert 'value="110"' in answer.text_


def test_a_bot_is_created_or_created_and_started(page, client, account, typed):
    page(NEW)
    assert client.post(f"{NEW}?kind=grid", typed).headers["Location"] == Bot.objects.get().get_absolute_url()
    bot = Bot.objects.get()
    assert (bot.name, bot.kind, bot.status, bot.allocation) == ("Mine", "grid", "draft", 1000)
    assert bot.params == {"lower": 90.0, "upper": 110.0, "lines": 21}
    client.post(f"{NEW}?kind=grid", typed | {"name": "Second", "then": "start"})
    assert Bot.objects.get(name="Second").status == "running"
    assert account.balances.get().free == 4000


def test_a_start_that_is_refused_leaves_a_draft_and_says_why(page, client, account, typed):
    page(NEW)
    answer = client.post(f"{NEW}?kind=grid", typed | {"allocation": "6000", "then": "start"}, follow=True)
    assert Bot.objects.get().status == "draft"
    assert "more than account paper has free" in answer.content.decode()


def test_a_wrong_form_comes_back_with_what_was_typed(page, client, account, typed):
    page(NEW)
    answer = client.post(f"{NEW}?kind=grid", typed | {"param_upper": "80", "name": "a\u202eb"})
    assert answer.status_code == 200
    assert "upper must be above lower (90), not 80." in answer.content.decode()
    assert "without U+202E" in answer.content.decode()
    assert not Bot.objects.exists()


def test_another_s_account_is_no_choice(page, client, account, typed, market):
    theirs = make_account(make_user("other"), market)
    page(NEW)
    answer = client.post(f"{NEW}?kind=grid", typed | {"account": theirs.pk})
    assert answer.status_code == 200
    assert "account must be one of yours" in answer.content.decode()
    assert not Bot.objects.exists()


def test_an_own_bot_is_cloned_and_another_s_is_not_there(page, client, account, owner, market):
    own = make_bot(owner, market)
    answer = page(f"{NEW}?clone={own.pk}")
    assert answer.context["form"]["name"].value() == "Swing grid copy"
    assert answer.context["form"]["param_lines"].value() == "20"
    theirs = make_bot(make_user("other"), market, name="Theirs")
    assert page(f"{NEW}?clone={theirs.pk}").status_code == 404


def test_without_an_account_it_can_be_tried_but_not_created(page, client, owner, market):
    answer = page(f"{NEW}?kind=grid&market={market.pk}")
    assert "You have no account" in answer.text_
    assert answer.context["preview"].strip
    assert Account.objects.count() == 0


@pytest.mark.parametrize(
    "query",
    [
        "kind=none", "kind=grid&market=abc", "kind=grid&market=99999999999", "kind=grid&days=7", "kind=grid&days=30",
        "kind=grid&days=30&timeframe=61", "kind=grid&days=30&timeframe=5m&chart=x", "clone=x", "clone=999999",
        "kind=grid&days=30&market=\u0661&account=\u0661&param_lower=1e999", "kind=grid&days=30&allocation=NaN&name=%00",
    ],
)  # fmt: skip
def test_no_address_is_an_error(page, account, query):
    assert page(f"{NEW}?{query}").status_code in (200, 404)
    assert page(f"{NEW}?{query}", **FRAGMENT).status_code in (200, 404)


@pytest.mark.parametrize("change", [{"allocation": ""}, {"timeframe": "61"}, {"param_upper": "1e300"}])
def test_a_kind_that_needs_a_swap_is_refused_on_a_spot_market_whatever_else_is_wrong(
    page, client, account, typed, market, change
):
    sent = typed | {"kind": "futures_grid", "param_leverage": "3"} | change
    sent = {name: value for name, value in sent.items() if value}
    for new in (NEW, "/backtests/new/"):
        assert page(f"{new}?kind=futures_grid").status_code == 200
        assert page(f"{new}?{urlencode(sent)}").status_code == 200
        assert page(f"{new}?{urlencode(sent)}", **FRAGMENT).status_code == 200
        assert client.post(f"{new}?kind=futures_grid", sent).status_code == 200
    assert not Bot.objects.exists()


def test_a_kind_that_needs_a_swap_begins_with_one(page, account, market):
    swap = make_market("SOL/USDT")
    Market.objects.filter(pk=swap.pk).update(type="swap", max_leverage=10)
    assert market.symbol < swap.symbol
    answer = page(f"{NEW}?kind=futures_grid")
    assert (answer.context["market"].pk, answer.context["form"]["market"].value()) == (swap.pk, str(swap.pk))
    assert page(f"{NEW}?kind=grid").context["market"].pk == market.pk


def test_the_preview_asks_little_of_the_database(page, account, typed, django_assert_max_num_queries):
    address = NEW + "?" + "&".join(f"{k}={v}" for k, v in typed.items())
    page(address, **FRAGMENT)
    with django_assert_max_num_queries(12):
        page(address, **FRAGMENT)


def test_there_is_a_way_to_it_from_the_bots_and_from_a_market(page, market):
    assert f'href="{reverse("new-bot")}"' in page("/bots/").text_
    assert f'href="{reverse("new-bot")}?market={market.pk}"' in page(f"/markets/{market.pk}/").text_
