from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from bots import equity, trade_days
from bots.models import BookSnapshot, Bot, EquitySnapshot, Run, TradeDay
from dashboard import history, performance, performance_rows, standings
from dashboard.history import Steps
from dashboard.performance import Now
from tests.dashboard.cast import make_bot, make_market, make_user

BOOK = ("paper", "USDT")
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)


def snap(owner, marks, start=MIDNIGHT, every=timedelta(hours=1)):
    """BookSnapshots of (equity, pnl) each."""
    BookSnapshot.objects.bulk_create(
        BookSnapshot(
            owner=owner, mode="paper", currency="USDT", time=start + every * n, equity=worth, pnl=pnl, last_id=1
        )
        for n, (worth, pnl) in enumerate(marks)
    )


def grown(bot, gains, name=None):
    """Leave the bot's snapshots a day apart, each with this gain on the one before, the last at the latest midnight."""
    run = bot.runs.get()
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=len(gains))
    Run.objects.filter(pk=run.pk).update(started_at=start + timedelta(hours=1))
    EquitySnapshot.objects.filter(bot=bot).delete()
    worth = [1000 + sum(gains[: n + 1]) for n in range(len(gains))]
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(bot=bot, run=run, time=start + timedelta(days=n + 1), equity=one, cash=0, position=0, price=1)
        for n, one in enumerate(worth)
    )


def test_money_given_to_a_bot_or_taken_back_is_no_return():
    # 1000 gain 100; another 1000 come; 2100 gain 210; 1000 leave, and nothing else happens
    found = history.returns([0, 1000, 1100, 2310, 1310], [0, 0, 100, 310, 310])
    assert found.tolist() == pytest.approx([0, 0.1, 210 / 2100, 0])


def test_a_return_without_money_at_work_is_none_at_all():
    assert history.returns([0, 0, 0], [5, 5, 7]).tolist() == [0, 0]


def test_a_period_begins_with_what_was_there_before(owner):
    snap(owner, [(1000 + n, n) for n in range(100)])
    since = MIDNIGHT + timedelta(hours=48)
    found = history.steps(owner, BOOK, since, MIDNIGHT + timedelta(hours=99))
    assert (found.seconds, found.time[0], found.pnl[0]) == (300, int(since.timestamp()), 48)
    assert (len(found.time), found.pnl[-1]) == (52, 99)


def test_a_book_begins_with_nothing(owner):
    snap(owner, [(1010, 10), (1020, 20)])
    found = history.steps(owner, BOOK, None, MIDNIGHT + timedelta(days=1))
    assert (found.equity, found.pnl) == ([0, 1010, 1020], [0, 10, 20])
    assert found.returns().tolist() == pytest.approx([0.01, 10 / 1010])


def test_longer_spans_take_longer_steps(owner):
    snap(owner, [(1000, 0)] * 24 * 12 * 5, every=timedelta(minutes=5))
    found = history.steps(owner, BOOK, None, MIDNIGHT + timedelta(days=5))
    assert found.seconds == 3600
    assert {b - a for a, b in zip(found.time[1:], found.time[2:], strict=False)} == {3600}


def test_nothing_is_known_of_another_owner_mode_or_currency(owner, stranger):
    snap(owner, [(1000, 0)])
    for who, book in ((stranger, BOOK), (owner, ("live", "USDT")), (owner, ("paper", "BTC"))):
        assert history.steps(who, book, None, MIDNIGHT + timedelta(days=1)).time == []
        assert history.days(who, book) == []


def test_figures_are_those_of_the_time_weighted_curve():
    hours = [int(MIDNIGHT.timestamp()) + 3600 * n for n in range(5)]
    found = performance.figures(
        Steps(3600, hours, [1000, 1100, 990, 2090, 2299], [0, 100, -10, 90, 299]), [], Now(2299, 299, 1149.5)
    )
    # +10 %, -10 %, then 1000 come and gain with 990: 100 of 1990, 209 of 2090
    assert found["total_return"] == pytest.approx(1.1 * 0.9 * (1 + 100 / 1990) * 1.1 - 1)
    assert found["max_drawdown"] == pytest.approx(-0.1)
    assert (found["drawdown_peak"], found["drawdown_low"]) == (hours[1] * 1000, hours[2] * 1000)
    assert (found["gained"], found["max_fall"], found["exposure"]) == (299, -110, 0.5)
    assert (found["win_rate"], found["profit_factor"], found["expectancy"]) == (None, None, None)


def test_a_book_that_lost_everything_has_figures(owner):
    found = performance.figures(Steps(3600, [0, 3600, 7200], [1000, 0, 0], [0, -1200, -1200]), [], Now(0, -1200, 0))
    assert (found["total_return"], found["sharpe"], found["exposure"]) == (-1, None, None)


def test_days_and_months_add_up_to_all_there_was(owner, bot):
    grown(bot, [10.0, -4.0, 7.5, 0.0, 3.0])
    equity.sum_up()
    standing = performance.standing_now(standings.standings(owner, None), "paper:USDT")
    did = performance.performance(owner, "paper:USDT", "all", standing, timezone.now())
    assert [one.gained for one in did.days] == pytest.approx([10, -4, 7.5, 0, 3, 23.5 - 16.5])
    assert sum(month.gained for month in did.months) == pytest.approx(23.5) == did.figures["gained"]
    growth = 1.0
    for month in did.months:
        growth *= 1 + month.rate
    assert growth - 1 == pytest.approx(did.figures["total_return"]) == pytest.approx(0.0235)


def test_what_a_bot_gained_in_a_period_is_what_it_is_worth_less_what_it_was(owner, bot):
    grown(bot, [10.0, -4.0, 7.5])
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=1)
    (found,) = standings.standings(owner, since)
    assert (found.pnl, found.gained) == (23.5, pytest.approx(23.5 - 6))
    assert standings.standings(owner, None)[0].gained == 23.5


def test_a_run_that_ended_before_a_period_gained_nothing_in_it(owner, market):
    bot = make_bot(owner, market, status="stopped")
    bot.runs.update(stopped_at=timezone.now() - timedelta(days=3), started_at=timezone.now() - timedelta(days=4))
    (found,) = standings.standings(owner, timezone.now() - timedelta(days=2))
    assert (found.pnl, found.gained, found.equity) == (23.5, 0, 0)


def test_shares_are_summed_by_what_is_asked(owner, bot):
    make_bot(owner, make_market("ETH/USDT"), name="Worse", equity="990")
    found = standings.standings(owner, None)
    by_market = standings.grouped(found, lambda one: (one.market, one.symbol))
    assert [(one.label, one.gained) for one in by_market] == [("BTC/USDT", 23.5), ("ETH/USDT", -10.0)]
    (grid,) = standings.grouped(found, lambda one: (one.kind, one.kind))
    assert (grid.bots, grid.gained, grid.trades, grid.fees) == (2, 13.5, 8, 4)


def test_bots_whose_days_are_the_same_correlate(owner, bot):
    gains = [5.0, -3.0, 8.0, 1.0, -6.0, 2.0, 4.0]
    same = make_bot(owner, make_market("ETH/USDT"), name="Same")
    other = make_bot(owner, make_market("LTC/USDT"), name="Other way round")
    young = make_bot(owner, make_market("XRP/USDT"), name="Young")
    for one, sign in ((bot, 1), (same, 2), (other, -1)):
        grown(one, [sign * gain for gain in gains])
    grown(young, [5.0])
    ids = [one.pk for one in (bot, same, other, young)]
    found = standings.correlations(owner, BOOK, ids, timezone.now())
    assert found[0][:3] == pytest.approx([1, 1, -1])
    assert [row[3] for row in found] == [None] * 4
    assert standings.correlations(make_user("stranger"), BOOK, ids, timezone.now()) == [[None] * 4] * 4


def test_trades_are_summed_up_by_day_and_order(owner, bot):
    bot.trades.update(time=MIDNIGHT)
    trade_days.sum_up()
    (day,) = TradeDay.objects.all()
    # Two sales gained 1.5 each, less their fees of 0.05 and those of the buys before: the same rate on cost less 1.5
    costs = [102.25 * 0.5, 104.25 * 0.5]
    net = sum(1.5 - 0.05 - 0.05 * (cost - 1.5) / cost for cost in costs)
    assert (day.trades, day.orders, day.won, day.losses) == (4, 2, 2, 0)
    assert (day.gains, day.fees) == (pytest.approx(net), pytest.approx(0.2))
    assert day.cost == pytest.approx(0.5 * (101.25 + 102.25 + 103.25 + 104.25))
    assert trade_days.sum_up() == 0


def test_a_trade_that_comes_later_changes_its_day(owner, bot):
    trade_days.sum_up()
    before = sum(TradeDay.objects.values_list("trades", flat=True))
    trade = bot.trades.order_by("time").first()
    trade.pk, trade.number, trade.client_id, trade.realized, trade.side = None, 99, "late", -3, "sell"
    trade.save()
    assert trade_days.sum_up() >= 1
    assert sum(TradeDay.objects.values_list("trades", flat=True)) == before + 1
    assert sum(TradeDay.objects.values_list("losses", flat=True)) > 3


def test_the_page_shows_figures_days_months_and_shares(page, bot):
    equity.sum_up()
    trade_days.sum_up()
    text = page("/performance/?period=all").text_
    for words in ("+23.50", "Sharpe ratio", "Profit factor", "Returns by month", "Swing grid", "Longest under water"):
        assert words in text
    assert f"{timezone.now():%B %Y}" in text
    assert "Simulated money" in text


@pytest.mark.parametrize("by", ["bot", "market", "kind"])
def test_shares_are_shown_by_bot_market_and_kind(page, bot, by):
    text = page(f"/performance/?by={by}").text_
    assert {"bot": "Swing grid", "market": "BTC/USDT", "kind": "Grid"}[by] in text


def test_without_bots_it_says_what_to_do_next(page):
    assert "Nothing to measure yet" in page("/performance/").text_
    assert "takes two bots" in page("/performance/correlation/").text_
    assert page("/performance.csv").content.decode().splitlines() == ["day,pnl,return,equity,trades,fees"]


@pytest.mark.parametrize(
    "query", ["?book=live:EUR", "?period=x&by=y&month=2026-99", "?month=0001-01", "?month=9999-12"]
)
def test_what_cannot_be_meant_is_passed_over(page, bot, query):
    answer = page(f"/performance/{query}")
    assert answer.status_code == 200
    assert "+23.50" in answer.text_


def test_a_bot_that_never_recorded_anything_has_a_page(page, bot):
    EquitySnapshot.objects.all().delete()
    assert "+23.50" in page("/performance/").text_


def test_the_days_are_a_file(page, bot):
    grown(bot, [10.0, -4.0])
    equity.sum_up()
    lines = list(csv.DictReader(io.StringIO(page("/performance.csv?period=all").content.decode())))
    assert [float(one["pnl"]) for one in lines] == pytest.approx([10, -4, 17.5])


def test_books_are_never_mixed(page, owner, bot):
    make_bot(owner, make_market("ETH/BTC"), name="Coin grid", equity="1001")
    text = page("/performance/?book=paper:BTC&period=all").text_
    assert "Coin grid" in text
    assert "Swing grid" not in text


def test_colours_tell_how_far_a_month_is_from_the_furthest():
    months = [performance.Month(date(2026, month, 1), 0.0, rate) for month, rate in ((1, 0.1), (2, -0.02), (3, 0.0))]
    (row,) = performance_rows.month_heat(months)
    assert [cell[1] for cell in row.cells[:4]] == ["heat-up3", "heat-down1", "", ""]
    assert row.cells[12][0] == "+7.80\u202f%"


def test_short_money_fits_a_calendar():
    assert [performance_rows.short(value) for value in (12345.6, -1_500_000, 3.14159, 0.0, 250)] == [
        "+12.3k", "−1.5M", "+3.14", "0.00", "+250",
    ]  # fmt: skip


def test_only_the_best_and_the_worst_of_many_are_shown():
    groups = [standings.Group(number, f"Bot {number}", gained=-number) for number in range(100)]
    shown = performance_rows.group_rows(groups, "USDT")
    assert (len(shown.rows), shown.left_out) == (24, 76)
    assert (shown.rows[0].key, shown.rows[-1].key, shown.rows[-1].width) == (0, 99, 50.0)


def test_a_second_visit_within_a_mark_asks_for_standings_alone(page, bot, django_assert_max_num_queries):
    page("/performance/")
    with django_assert_max_num_queries(1 + 2):
        page("/performance/")
    assert Bot.objects.count() == 1
