"""The pages of backtests: started from a form, followed, read, compared, turned into bots."""

from __future__ import annotations

import pytest
from django.test import Client

from bots import tasks
from bots.kinds import KINDS
from bots.models import Backtest, Bot
from dashboard import backtest_rows
from markets import gaps
from markets.models import Candle
from tests.dashboard.cast import make_account, make_user

NEW = "/backtests/new/?kind=grid"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def typed(market):
    return {
        "kind": "grid", "market": market.pk, "timeframe": 60, "allocation": "1000", "days": "all", "param_lower": "90",
        "param_upper": "110", "param_lines": "21", "param_spacing": "arithmetic", "param_size": "base",
        "param_stop_loss_by": "price", "param_sell_at_end": "on", "param_take_profit_by": "price",
        "limit_at_drawdown": "sell",
    }  # fmt: skip


@pytest.fixture
def start(page, client, typed, redis):
    """start(…): the backtest that a form with these changes leads to."""
    page("/backtests/")

    def started(**change) -> Backtest:
        answer = client.post(NEW, typed | change)
        assert answer.status_code == 302, answer.context["form"].errors
        return Backtest.objects.get(pk=int(answer.headers["Location"].strip("/").rsplit("/", 1)[1]))

    return started


def test_first_there_is_nothing_and_a_way_to_begin(page, market):
    assert "Nothing was tried yet" in page("/backtests/").text_
    assert "?kind=dca" in page("/backtests/new/").text_
    text = page(NEW).text_
    assert "Run the backtest" in text
    assert "Try several values" in text
    assert 'name="name"' not in text


def test_a_backtest_is_started_followed_and_read(page, start):
    found = start()
    waiting = page(f"/backtests/{found.pk}/")
    assert "queued" in waiting.text_
    assert 'hx-trigger="every 1s"' in waiting.text_
    assert tasks.run_backtests() == 1
    assert "data-over" in page(f"/backtests/{found.pk}/", **FRAGMENT).text_
    text = page(f"/backtests/{found.pk}/").text_
    for shown in ("Return at worst", "Buy and hold", "Deepest drawdown", "Create a bot from this", "Price lines"):
        assert shown in text
    assert "every 1s" not in text
    chart = page(f"/backtests/{found.pk}/chart.json?timeframe=5m").json()
    assert len(chart["time"]) == len(chart["equity"]) == len(chart["held"]) == len(chart["fall"]) == 300
    assert sum(chart["trades"]["count"]) == Backtest.objects.get().metrics["trades"]
    assert "done" in page("/backtests/").text_


def test_the_same_one_again_leads_to_the_stored_answer(page, start):
    first = start()
    tasks.run_backtests()
    assert start() == first
    assert "was asked for before" in page(f"/backtests/{first.pk}/").text_
    assert start(param_lines="11") != first


def test_the_list_says_why_a_backtest_failed(page, start):
    start()
    Backtest.objects.update(state=Backtest.State.FAILED, reason="The candles are gone.")
    assert '<span class="dim wide">The candles are gone.</span>' in page("/backtests/").text_


def test_a_grid_shows_its_best_sets_and_a_heat_map(page, start):
    found = start(grid="lines: 5, 9, 21\nspacing: arithmetic, geometric\nupper: 108, 110")
    assert found.grid == {"lines": [5, 9, 21], "spacing": ["arithmetic", "geometric"], "upper": [108, 110]}
    called = {one.name: one.label for one in KINDS["grid"].parameters()}
    told = ", ".join(called[name] for name in ("lines", "upper", "spacing"))
    assert f"every combination of {told}" in page(f"/backtests/{found.pk}/").text_
    tasks.run_backtests()
    answer = page(f"/backtests/{found.pk}/?across=lines&down=spacing")
    assert len(answer.context["sets"]) == 12
    heat = answer.context["heat"]
    assert (heat.columns, [line for line, _ in heat.rows]) == (["5", "9", "21"], ["Arithmetic", "Geometric"])
    assert {"Arithmetic", "Geometric"} & set(answer.context["sets"][0].values)
    assert answer.text_.count("heat-best") == 1
    assert (heat.across, heat.down) == (called["lines"], called["spacing"])
    assert f'<th class="num">{called["upper"]}</th>' in answer.text_
    other = page(f"/backtests/{found.pk}/?across=upper&down=lines").context["heat"]
    assert (other.columns, len(other.rows)) == (["108", "110"], 3)
    same = page(f"/backtests/{found.pk}/?across=lines&down=lines").context
    assert (same["across"], same["down"], len(same["heat"].rows)) == ("lines", "upper", 2)
    best = max(row[2] for row in Backtest.objects.get().results)
    assert f"{(best / 1000 - 1) * 100:.2f}" in str(answer.context["sets"][0].total_return)


@pytest.mark.parametrize(
    ("returns", "looks"),
    [
        ([0.019, 0.023, 0.027], ["heat-up1", "heat-up2", "heat-up3 heat-best"]),
        ([-0.03, 0.001, 0.03], ["heat-down3", "heat-up1", "heat-up3 heat-best"]),
        ([0.01, 0.01, 0.01], ["heat-up1 heat-best"] * 3),
    ],
)
def test_a_heat_map_shows_differences_whatever_their_size(returns, looks):
    results = [[{"lines": n, "spacing": "arithmetic"}, 1, 1000 * (1 + one), 0.0] for n, one in enumerate(returns)]
    grid = {"lines": [0, 1, 2], "spacing": ["arithmetic"]}
    tried = Backtest(kind="grid", allocation=1000, grid=grid, results=results)
    ((_, cells),) = backtest_rows.heat(tried, "lines", "spacing").rows
    assert [look for _, look in cells] == looks


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ("lines", "grid must have lines such as"),
        ("lines:", "grid must have lines such as"),
        ("none: 1, 2", "none of the grid must be a parameter"),
        ("lines: 1, 2", "lines must be at least 2"),
        ("x" * 3000, "grid must be at most 2000 characters long, not 3000."),
        ("lines: \u0661\u0661", "lines must be a number"),
    ],
)
def test_a_wrong_grid_is_said_at_its_field(page, client, typed, grid, sentence):
    page("/backtests/")
    answer = client.post(NEW, typed | {"grid": grid})
    assert answer.status_code == 200
    assert sentence in " ".join(answer.context["form"].errors["grid"])
    assert not Backtest.objects.exists()


def test_it_is_cancelled_and_run_again(page, client, start):
    found = start()
    client.post(f"/backtests/{found.pk}/cancel/")
    assert "Run it again" in page(f"/backtests/{found.pk}/").text_
    assert tasks.run_backtests() == 0
    client.post(f"/backtests/{found.pk}/again/")
    assert tasks.run_backtests() == 1
    assert Backtest.objects.get().state == "done"
    for act in ("cancel", "again"):
        assert client.post(f"/backtests/{found.pk}/{act}/").status_code == 302
        assert client.get(f"/backtests/{found.pk}/{act}/").status_code == 302
    assert Backtest.objects.get().state == "done"


def test_deleting_asks_first(page, client, start):
    found = start()
    assert "not answered yet" in page(f"/backtests/{found.pk}/delete/", **FRAGMENT).text_
    tasks.run_backtests()
    assert "curve and trades are gone" in page(f"/backtests/{found.pk}/delete/").text_
    assert Backtest.objects.exists()
    assert client.post(f"/backtests/{found.pk}/delete/").headers["Location"] == "/backtests/"
    assert "is deleted." in page("/backtests/").text_
    assert not Backtest.objects.exists()


def test_several_are_compared(page, start):
    first, second = start(), start(param_lines="11")
    tasks.run_backtests()
    text = page(f"/backtests/compare/?id={first.pk}&id={second.pk}").text_
    for one in (first, second):
        assert f"#{one.pk} Grid" in text
    assert "Sharpe ratio" in text
    for nothing in ("", "?id=x", "?id=999999999999", "?id=" + 5000 * "9", "?id=\u0661"):
        assert "Nothing to compare" in page(f"/backtests/compare/{nothing}").text_


def test_a_bot_is_created_from_a_backtest_or_a_set_of_a_grid(page, start, owner, market):
    make_account(owner, market)
    single, grid = start(param_lines="11"), start(grid="lines: 5, 9")
    tasks.run_backtests()
    form = page(f"/bots/new/?backtest={single.pk}").context["form"]
    assert (form["param_lines"].value(), form["allocation"].value(), form.errors) == ("11", "1000", {})
    form = page(f"/bots/new/?backtest={grid.pk}&set=1").context["form"]
    assert form["param_lines"].value() == "9"
    assert not Bot.objects.exists()


def test_figures_of_a_year_are_not_told_of_less_than_thirty_days(page, start):
    found = start()
    tasks.run_backtests()
    found.refresh_from_db()
    yearly = {"annual_return": 6459.6322, "calmar": 82_138.0, "volatility": 77.77, "sharpe": 78.78, "sortino": 79.79}
    Backtest.objects.update(metrics=found.metrics | yearly)
    shown = ("+645,963.22", "82,138.00", "7,777.00", "78.78", "79.79")
    text = page(f"/backtests/{found.pk}/").text_
    assert [one for one in shown if one in text] == []
    assert 'title="Told from 30 days on: of fewer it would be chance."><dt>Sharpe ratio</dt><dd>–</dd>' in text
    Backtest.objects.update(begin=found.end - 30 * 86_400_000)
    text = page(f"/backtests/{found.pk}/").text_
    assert [one for one in shown if one in text] == list(shown)


def test_another_s_backtest_is_nowhere(page, start):
    found = start()
    other = Client()
    other.force_login(make_user("other"))
    for path in ("", "chart.json", "cancel/", "again/", "delete/"):
        assert other.get(f"/backtests/{found.pk}/{path}").status_code == 404
        assert other.post(f"/backtests/{found.pk}/{path}").status_code in (404, 405)
    assert other.get(f"/bots/new/?backtest={found.pk}").status_code == 404
    assert f"/backtests/{found.pk}/" not in other.get("/backtests/").content.decode()
    assert "Nothing to compare" in other.get(f"/backtests/compare/?id={found.pk}").content.decode()
    assert Backtest.objects.get().state == "queued"


def test_candles_that_the_period_lacks_are_told_in_a_line(page, market, start):
    first = start()
    assert " missing" not in page(f"/backtests/{first.pk}/").text_
    hole = first.begin + 100 * 60_000
    Candle.objects.filter(time__gte=hole, time__lt=hole + 600_000).delete()
    address = f"/backtests/{start().pk}/"
    assert "10 candles of this period are missing. The price leaps there" in page(address).text_
    gaps.declare(market.pk, 60, [(hole, hole + 240_000)])
    assert "are missing; the exchange has none of 4 of them." in page(address).text_
    gaps.declare(market.pk, 60, [(hole, hole + 600_000)])
    assert "10 candles of this period are missing: the exchange has none there" in page(address).text_


def test_choosing_what_to_try_is_a_page_of_backtests(page):
    text = page("/backtests/new/").text_.partition("</nav>")[0]
    assert 'aria-current="page"' in text.partition("Backtests")[0].rpartition("<a")[2]
    assert 'aria-current="page"' in page("/bots/new/").text_.partition("Bots</a>")[0].rpartition("<a")[2]


def test_money_and_multiples_have_their_units(page, start):
    found = start()
    tasks.run_backtests()
    figures = {label: text for label, text, _ in backtest_rows.figures(Backtest.objects.get(pk=found.pk))}
    assert figures["Fees"].endswith(" USDT")
    assert figures["Turnover"].endswith("\u202f×")
