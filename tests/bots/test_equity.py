"""Points of the equity curve between candles: only where what is known is of now."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bots import equity, runs, services
from bots.management.commands import _replay
from bots.management.commands._series import Asked
from bots.models import BookSnapshot, EquitySnapshot, Run
from bots.outcomes import EQUITY_EVERY
from markets.models import Market
from tests.bots.conftest import GRID, MINUTE, START, bars

PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


def now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


@pytest.fixture
def run(bot, close):
    """A run that has seen the candles up to now, holds a position and has no points yet."""
    now = now_ms()
    begin = now - now % MINUTE - len(PASS) * MINUTE
    run = services.start(bot, begin)
    close(bars(*PASS, start=begin))
    runs.advance_due()
    EquitySnapshot.objects.all().delete()
    Market.objects.update(last=101.25, last_at=timezone.now())
    run.refresh_from_db()
    assert run.position > 0
    return run


def test_a_point_is_the_book_at_the_latest_price_on_the_last_five_minutes(run):
    before = now_ms()
    assert equity.snapshot() == 1
    point = EquitySnapshot.objects.get()
    mark = int(point.time.timestamp() * 1000)
    assert mark % EQUITY_EVERY == 0
    assert before - EQUITY_EVERY < mark <= now_ms()
    assert (point.bot_id, point.run_id, point.price) == (run.bot_id, run.pk, 101.25)
    assert (point.cash, point.position) == (float(run.cash), float(run.position))
    assert point.equity == float(run.cash + run.position * Decimal("101.25"))


def test_a_mark_is_set_once_whoever_was_first(run):
    mark = timezone.now().replace(second=0, microsecond=0)
    mark -= timedelta(minutes=mark.minute % 5)
    for time in (mark, mark + timedelta(minutes=5)):  # the mark may pass while this runs
        EquitySnapshot.objects.create(
            bot_id=run.bot_id, run=run, time=time, equity=1.0, cash=1.0, position=0.0, price=1.0
        )
    assert equity.snapshot() == 0
    assert set(EquitySnapshot.objects.values_list("equity", flat=True)) == {1.0}


def test_a_paused_bot_keeps_its_curve_however_long(bot, run):
    services.pause(bot)
    Run.objects.update(bar_time=START)
    assert equity.snapshot() == 1


def test_a_stopped_bot_has_no_more_points(bot, run):
    services.stop(bot, close_position=False)
    assert equity.snapshot() == 0


@pytest.mark.parametrize("price", [{"last": None}, {"last_at": None}, {"last_at": timedelta(minutes=6)}])
def test_without_a_fresh_price_there_is_no_point(run, price):
    Market.objects.update(**{k: timezone.now() - v if isinstance(v, timedelta) else v for k, v in price.items()})
    assert equity.snapshot() == 0
    assert not EquitySnapshot.objects.exists()


@pytest.mark.parametrize(("timeframe", "minutes", "points"), [(60, 5, 1), (60, 15, 0), (3600, 90, 1), (3600, 200, 0)])
def test_a_run_that_lags_behind_its_candles_has_no_point(run, timeframe, minutes, points):
    """What it holds is of another time than the price; the candles it has yet to see will set its marks."""
    Run.objects.update(timeframe=timeframe, bar_time=now_ms() - minutes * MINUTE)
    assert equity.snapshot() == points


def test_a_replay_has_no_points(market):
    Market.objects.update(last=100.0, last_at=timezone.now())
    now = now_ms()
    candles = bars(*PASS, start=now - now % MINUTE - len(PASS) * MINUTE)
    _replay.new_run(Asked("grid", GRID, market, 60, Decimal(1000), candles, 0.0))
    assert Run.objects.filter(mode="replay", status="running").exists()
    assert equity.snapshot() == 0


def test_a_candle_that_closes_on_the_mark_sets_the_same_point(bot, close):
    begin = START - START % EQUITY_EVERY
    run = services.start(bot, begin)
    close(bars(*PASS, (98, 98, 97, 97.5), (97.5, 98, 97, 97), start=begin))
    runs.advance_due()
    point = EquitySnapshot.objects.get(run=run)
    assert point.time.timestamp() * 1000 == begin + EQUITY_EVERY
    held = [(1 if t.side == "buy" else -1, t) for t in run.trades.all() if t.time < point.time]
    position = sum(sign * t.amount for sign, t in held)
    cash = 1000 - sum(sign * t.amount * t.price + t.fee for sign, t in held)
    assert point.position == pytest.approx(float(position), abs=1e-9)
    assert point.cash == pytest.approx(float(cash), abs=1e-9)
    assert point.equity == pytest.approx(float(cash + position * Decimal("97.5")), abs=1e-9)


@pytest.fixture
def mark(run):
    """The last full hour, two hours after which the run began."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Run.objects.update(started_at=hour - timedelta(hours=2))
    return hour


def point(run, time, worth):
    EquitySnapshot.objects.create(bot_id=run.bot_id, run=run, time=time, equity=worth, cash=0, position=0, price=1)


def pnl_at(time):
    book = BookSnapshot.objects.filter(time__lte=time).order_by("-time").first()
    return book and (book.equity, round(book.pnl, 8))


def test_a_book_is_the_sum_of_the_last_points_of_its_runs(run, mark):
    given = float(run.allocation)
    for minutes, worth in ((90, given + 5), (30, given + 9)):
        point(run, mark - timedelta(minutes=minutes), worth)
    assert equity.sum_up() > 0
    assert pnl_at(mark - timedelta(minutes=121)) is None
    assert pnl_at(mark - timedelta(minutes=100)) == (given, 0.0)
    assert pnl_at(mark - timedelta(minutes=60)) == (given + 5, 5.0)
    assert pnl_at(mark) == (given + 9, 9.0)


def test_a_book_keeps_the_gain_of_a_run_that_ended_but_not_its_money(run, mark):
    point(run, mark - timedelta(minutes=90), float(run.allocation) + 5)
    ended = mark - timedelta(minutes=60)
    Run.objects.update(status="stopped", stopped_at=ended, equity=run.allocation + 7)
    equity.sum_up()
    assert pnl_at(ended - timedelta(minutes=5))[1] == 5.0
    assert pnl_at(mark) == (0.0, 7.0)


def test_points_that_come_late_are_added_to_books_that_are_made_already(run, mark):
    given = float(run.allocation)
    point(run, mark - timedelta(minutes=5), given + 3)
    equity.sum_up()
    point(run, mark - timedelta(minutes=110), given + 1)
    equity.sum_up()
    assert pnl_at(mark - timedelta(minutes=100)) == (given + 1, 1.0)
    assert pnl_at(mark) == (given + 3, 3.0)
    assert equity.sum_up() == 0  # nothing new


def test_books_can_be_thrown_away_and_made_again(run, mark):
    for minutes in range(10, 110, 7):
        point(run, mark - timedelta(minutes=minutes), float(run.allocation) + minutes)
        equity.sum_up()
    made = {book.pk: (book.equity, round(book.pnl, 8)) for book in BookSnapshot.objects.all()}
    BookSnapshot.objects.all().delete()
    equity.sum_up()
    again = {book.pk: (book.equity, round(book.pnl, 8)) for book in BookSnapshot.objects.all()}
    assert {pk: again[pk] for pk in made} == made  # a mark may have passed meanwhile
    assert len(again) > 10


def test_old_books_keep_the_full_hours_and_lose_nothing_by_it(run, mark):
    start = mark - timedelta(days=20)
    Run.objects.update(started_at=start)
    point(run, start + timedelta(minutes=35), float(run.allocation) + 5)
    equity.sum_up()
    old = BookSnapshot.objects.filter(time__lt=mark - timedelta(days=15))
    assert {time.minute for time in old.values_list("time", flat=True)} == {0}
    assert pnl_at(start + timedelta(minutes=59))[1] == 0.0
    assert pnl_at(start + timedelta(hours=1))[1] == 5.0
    assert pnl_at(mark)[1] == 5.0
