from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bots import equity
from bots.models import BookSnapshot, EquitySnapshot, Event, Run
from dashboard import books as money
from markets.models import Market
from tests.dashboard.cast import make_bot, make_market

FRAGMENT = {"HX-Request": "true"}


def test_it_shows_money_positions_trades_bots_and_what_needs_attention(page, bot):
    text = page("/").text_
    assert "1,023.50" in text  # equity
    assert "+23.50" in text  # all time: 1023.50 less the allocation of 1000
    assert "+5.00" in text  # open position: 4 × (101.25 - 100)
    assert "102.25" in text  # a trade's price
    assert "Swing grid lacks cash." in text
    assert "Swing grid bought at a level." not in text  # no warning
    assert "Simulated money" in text


def test_without_bots_it_offers_the_next_step(page):
    assert "No bots yet" in page("/").text_


def test_a_fragment_holds_the_live_parts_alone(page, bot):
    answer = page("/", **FRAGMENT)
    assert "<html" not in answer.text_
    assert all(
        f'id="{part}"' in answer.text_
        for part in ("halt", "totals", "attention", "bots", "positions", "trades", "allocation", "movers")
    )
    assert "HX-Request" in answer.headers["Vary"]


def test_a_page_restored_from_history_is_whole(page, bot):
    assert "<html" in page("/", **FRAGMENT, **{"HX-History-Restore-Request": "true"}).text_


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_it_takes_seven_queries_and_the_visitors_three_however_many_bots(
    page, owner, market, django_assert_num_queries, headers
):
    for number in range(30):
        make_bot(owner, market, name=f"Grid {number}")
    # session, user, version; books, bots with figures, halts, positions, trades, events needing attention, movers
    with django_assert_num_queries(10):
        page("/", **headers)


def test_money_of_different_modes_and_currencies_is_never_added(page, owner, market, bot):
    make_bot(owner, make_market("ETH/BTC"), name="Ether in bitcoin", equity="1100")
    make_bot(owner, market, name="Real", mode="live", equity="990")
    books = money.books(owner, timezone.now())
    assert [(book.key, book.equity, book.pnl) for book in books] == [
        ("live:USDT", 990.0, -10.0),
        ("paper:BTC", 1100.0, 100.0),
        ("paper:USDT", 1023.5, 23.5),
    ]
    assert page("/equity.json?book=paper:BTC").json()["currency"] == "BTC"
    assert "1,100.00000000" in page("/?book=paper:BTC").text_


def test_a_period_counts_from_the_last_equity_known_before_it(owner, bot):
    now = timezone.now()
    run = bot.runs.get()
    Run.objects.filter(pk=run.pk).update(started_at=now - timedelta(days=40))
    EquitySnapshot.objects.create(
        bot=bot, run=run, time=now - timedelta(days=8), equity=1013.5, cash=0, position=0, price=0
    )
    equity.sum_up()
    (book,) = money.books(owner, now)
    assert (book.week, book.month, book.pnl) == (10.0, 23.5, 23.5)
    for days, told in ((7, book.week), (30, book.month), (None, book.pnl)):
        curve = money.curve(owner, book.key, days, now)
        assert curve.pnl[-1] - curve.base == pytest.approx(told)  # the chart says what the figure above it says


@pytest.mark.parametrize("last", [269_700.2, 270_006])
def test_a_curve_has_as_many_points_as_it_may_each_with_a_second_of_its_own(owner, bot, last):
    """However the length of a period divides, and however close its last snapshot is to now."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    BookSnapshot.objects.bulk_create(
        BookSnapshot(
            owner=owner, mode="paper", currency="USDT", time=begin + timedelta(seconds=300 * number), equity=1, pnl=1,
            last_id=0,
        )
        for number in range(900)
    )  # fmt: skip
    for stretch in (money.WHOLE, (begin.timestamp() + last - 300, None)):
        curve = money.curve(owner, "paper:USDT", None, begin + timedelta(seconds=last), stretch)
        assert len(curve.time) <= money.CURVE_POINTS
        assert curve.time == sorted(set(curve.time))


def test_a_run_that_ended_before_a_period_adds_nothing_to_it(owner, market):
    bot = make_bot(owner, market, status="stopped")
    long_ago = timezone.now() - timedelta(days=20)
    bot.runs.update(started_at=long_ago, stopped_at=long_ago)
    equity.sum_up()
    (book,) = money.books(owner, timezone.now())
    assert (book.day, book.week, book.month, book.pnl, book.equity) == (0.0, 0.0, 23.5, 23.5, 0.0)


def test_the_curve_adds_up_the_runs_alive_and_keeps_the_gain_of_those_that_ended(owner, market, page, bot):
    ended = make_bot(owner, market, name="Ended", status="stopped", equity="1010")
    now = timezone.now()
    ended.runs.update(stopped_at=now - timedelta(minutes=30))
    EquitySnapshot.objects.filter(bot=ended).delete()
    run = ended.runs.get()
    EquitySnapshot.objects.create(
        bot=ended, run=run, time=now - timedelta(minutes=40), equity=1010, cash=0, position=0, price=0
    )
    equity.sum_up()
    curve = page("/equity.json?period=1d").json()
    assert len(curve["time"]) == len(curve["equity"]) == len(curve["pnl"]) == len(curve["drawdown"]) > 10
    assert curve["time"] == sorted(set(curve["time"]))
    assert curve["equity"][-1] == pytest.approx(1023.5)  # the bot that runs, as it stands
    assert curve["pnl"][-1] == pytest.approx(33.5)  # its 23.5 and the ended one's 10


def test_the_curve_has_the_deepest_fall_in_every_point(owner, market, page, bot):
    run = bot.runs.get()
    start = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=20)
    Run.objects.filter(pk=run.pk).update(started_at=start)
    EquitySnapshot.objects.all().delete()
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(
            bot=bot, run=run, time=start + timedelta(hours=n), equity=1100 if n != 200 else 1060,
            cash=0, position=0, price=0,
        )
        for n in range(1, 470)
    )  # fmt: skip
    equity.sum_up()
    curve = page("/equity.json?period=all").json()
    assert money.CURVE_POINTS - 80 < len(curve["time"]) <= money.CURVE_POINTS
    assert sorted(curve["drawdown"])[:2] == [-76.5, -40.0]  # what it is worth now is less than it was all along
    assert max(curve["drawdown"]) == 0.0


def test_the_curve_takes_one_query_and_the_visitors_two(page, bot, django_assert_num_queries):
    with django_assert_num_queries(3):
        page("/equity.json")


def test_without_bots_the_curve_is_empty(page):
    assert page("/equity.json").json() == {
        "most": 400,
        "book": "", "currency": "", "time": [], "equity": [], "pnl": [], "drawdown": [], "base": 0.0, "digits": 2,
    }  # fmt: skip


def test_it_says_in_which_markets_the_money_is_and_how_much_of_it_can_move(page, owner, bot):
    for name, worth in (("ETH", "2000"), ("LTC", "976.50")):
        make_bot(owner, make_market(f"{name}/USDT"), name=f"{name} grid", equity=worth)
    text = page("/").text_
    allocation = text[text.index('id="allocation"') : text.index('id="movers"')]
    assert allocation.index("ETH/USDT") < allocation.index("BTC/USDT") < allocation.index("LTC/USDT")
    assert "50.00\u202f%" in allocation  # 2000 of 4000
    assert "1,215.00" in allocation  # three positions of 4 at 101.25
    assert "30.38\u202f%" in allocation


def test_it_names_the_markets_that_moved_most(page, owner, bot):
    Market.objects.update(change_24h=-0.09)
    make_market("ETH/USDT")
    movers = page("/").text_.split('id="movers"')[1]
    assert movers.index("BTC/USDT") < movers.index("ETH/USDT")
    assert "−9.00\u202f%" in movers


def test_an_old_warning_needs_no_attention_any_more(page, bot):
    Event.objects.update(recorded_at=timezone.now() - timedelta(days=8))
    assert "All quiet" in page("/").text_


def test_a_warning_that_was_told_again_is_one_row_with_how_often(page, owner, bot):
    Event.objects.all().delete()
    told = {"owner": owner, "level": "warning", "time": timezone.now()}
    for line in range(40):
        left = f"The price left line {line} of the grid."
        Event.objects.create(**told, bot=bot, code="decision", message=left, data={"line": line})
    for found in (33, 44):
        broken = f"Query select: p95 {found} ms."
        Event.objects.create(**told, code="budget_broken", message=broken, data={"subject": "Query select"})
    text = page("/").text_
    assert text.count("The price left") == 1
    assert "The price left line 39 of the grid." in text
    assert "Decision · 40 times" in text
    assert f'href="/bots/{bot.pk}/?tab=log">Swing grid</a>' in text
    assert "Budget broken · 2 times" in text
    assert "p95 44 ms" in text
    assert "p95 33 ms" not in text
