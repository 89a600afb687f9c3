"""Bots on swaps: funding, shorts and liquidation, through the database, the same as in a backtest."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from bots import runs, services
from bots.models import Event, FundingPayment, Position, Run
from markets import funding
from markets.models import Market
from markets.series import Candles
from markets.surface import Rate
from tests.bots.conftest import MINUTE, START, arrive, bars, replayed
from tests.bots.test_runs import exact, stored, wandering

HOUR = 3_600_000
FIRST = START // HOUR * HOUR + HOUR  # the first hour after the start
SHORT = {"side": "short", "size": 20, "leverage": 3}


@pytest.fixture
def swap(market):
    market.symbol, market.type = "SOL/USDT:USDT", "swap"
    market.max_leverage, market.maintenance_rate = Decimal(20), Decimal("0.01")
    market.save()
    return market


@pytest.fixture
def short_bot(bot, swap):
    bot.market, bot.kind, bot.params = swap, "futures_position", SHORT
    bot.save()
    return bot


@pytest.fixture
def rates(swap):
    """rates(*fractions): an hour apart from the first full hour on, all known."""

    def settle(*fractions: float) -> None:
        funding.upsert(swap.pk, [Rate(FIRST + n * HOUR, rate) for n, rate in enumerate(fractions)])
        Market.objects.filter(pk=swap.pk).update(funding_to=FIRST + 1000 * HOUR)

    return settle


def paid(run: Run) -> list[tuple]:
    rows = run.funding_payments.order_by("time")
    return [(row.time, row.rate, row.price, row.position, row.paid) for row in rows]


def expected(bot, candles):
    return runs.backtest(bot.kind, bot.params, bot.market, 60, bot.allocation, candles)


@pytest.mark.parametrize("stretches", [[400], [1] * 60 + [340], [7] * 57 + [1]])
def test_funding_on_paper_is_that_of_the_backtest_however_the_candles_come(short_bot, close, rates, stretches):
    rates(0.0001, -0.0003, 0.0, 0.0005, 0.0001, 0.0002)
    candles = wandering()
    run = services.start(short_bot, START)
    arrive(close, candles, stretches, runs.advance_due)
    backtest = expected(short_bot, candles)
    run.refresh_from_db()
    assert len(backtest.payments) == 5, "a rate of zero pays nothing"
    assert stored(run) == exact(backtest)
    assert paid(run) == [(p.time, p.rate, p.price, p.position, p.paid) for p in backtest.payments]
    assert (run.cash, run.funding) == (backtest.book.cash, backtest.book.funding)
    assert float(run.funding) == pytest.approx(backtest.engine.run["funding"][0], abs=1e-9)
    assert float(run.cash) == pytest.approx(backtest.engine.run["cash"][0], abs=1e-9)


def test_the_figures_of_a_run_follow_from_its_trades_and_payments(short_bot, close, rates):
    rates(0.0001, -0.0003)
    run = services.start(short_bot, START)
    close(wandering())
    runs.advance_due()
    run.refresh_from_db()
    book = replayed(run)
    assert (run.cash, run.position, run.cost, run.funding) == (book.cash, book.position, book.cost, book.funding)
    assert book.funding == sum(row.paid for row in run.funding_payments.all())


def test_a_short_receives_a_positive_rate_and_its_event_says_so(short_bot, close, rates):
    rates(0.0001)
    run = services.start(short_bot, START)
    flat = [(100, 100, 100, 100)] * 60
    close(bars(*flat))
    runs.advance_due()
    payment = FundingPayment.objects.get(run=run)
    assert (payment.position, payment.paid) == (Decimal("-5.964"), Decimal("-0.05964"))
    told = Event.objects.get(run=run, code="funding")
    assert told.message == "Received 0.05964 USDT of funding, 0.01 % on 5.964 SOL held short."
    position = Position.objects.get(run=run)
    assert (position.side, position.amount, position.status) == ("short", Decimal("5.964"), "open")


def flat_until(close, minutes: int) -> None:
    close(bars(*[(100, 100, 100, 100)] * minutes))


def test_a_run_waits_for_a_rate_that_is_not_known_yet(short_bot, close, swap, rates):
    run = services.start(short_bot, START)
    before = (FIRST - START) // MINUTE
    flat_until(close, before + 5)
    runs.advance_due()
    run.refresh_from_db()
    assert run.bar_time == FIRST - MINUTE, "the candle that opens at the hour is not shown"
    assert runs.due().count() == 0, "nor is it asked for again and again"
    rates(0.0001)
    runs.advance_due()
    run.refresh_from_db()
    assert run.bar_time == FIRST + 4 * MINUTE
    assert run.funding == Decimal("-0.05964")


def test_it_does_not_wait_for_ever_and_says_what_it_did_not_pay(short_bot, close, swap):
    run = services.start(short_bot, START)
    before = (FIRST - START) // MINUTE
    flat_until(close, before + 10)
    runs.advance_due()
    run.refresh_from_db()
    assert run.bar_time == FIRST - MINUTE
    flat_until(close, before + 11)
    runs.advance_due()
    run.refresh_from_db()
    assert run.bar_time == FIRST + 10 * MINUTE
    told = Event.objects.get(run=run, code="funding")
    assert (told.level, told.time.timestamp()) == ("warning", FIRST / 1000)
    assert told.message == "The funding rate is not known: nothing was paid or received for the position."
    flat_until(close, before + 12)
    assert runs.advance_due() == 1, "the hour has passed: the next candle is not waited with"


@pytest.mark.parametrize("timeframe", [60, 300, 3600, 86_400])
def test_runs_of_every_timeframe_wait_and_go_on(short_bot, swap, timeframe):
    """What due() asks the database and what the stretch shows must agree, or a worker would turn in circles."""
    from markets import candles as store
    from markets.models import Feed

    short_bot.timeframe = timeframe
    short_bot.save()
    run = services.start(short_bot, START)
    feed = Feed.objects.get(market=swap, timeframe=timeframe)
    first = run.bar_time + timeframe * 1000
    rows = [(first + n * timeframe * 1000, 100.0, 100.0, 100.0, 100.0, 1.0) for n in range(8)]
    known = first - first % HOUR
    for n in range(1, 8):
        store.upsert(swap.pk, timeframe, Candles.from_rows(rows[:n]))
        Feed.objects.filter(pk=feed.pk).update(synced_to=rows[n - 1][0])
        for funding_to in (known - HOUR, rows[n - 1][0] // HOUR * HOUR):
            Market.objects.filter(pk=swap.pk).update(funding_to=funding_to)
            due = runs.due().exists()
            assert bool(runs.advance_due()) == due
            assert not runs.due().exists()
    run.refresh_from_db()
    assert run.bar_time == rows[6][0]


def test_a_liquidated_bot_ends_with_what_is_left_and_says_why(short_bot, close, rates, account):
    rates()
    short_bot.params = SHORT | {"size": 100, "leverage": 10}
    short_bot.save()
    run = services.start(short_bot, START)
    close(bars((100, 100, 100, 100), (100, 125, 100, 120)))
    runs.advance_due()
    run.refresh_from_db()
    short_bot.refresh_from_db()
    assert (run.status, run.position) == ("stopped", 0)
    assert "liquidated, the margin was used up" in short_bot.reason
    assert run.trades.order_by("number").last().tag == "liquidation"
    assert 0 <= run.cash < 1
    assert account.balances.get(currency="USDT").free == 9000 + run.cash
    assert Event.objects.filter(run=run, code="liquidated", level="error").exists()


@pytest.mark.parametrize("positions", [1, 0])
def test_a_short_is_bought_back_when_its_bot_is_stopped(short_bot, close, rates, account, positions):
    rates()
    short_bot.params = SHORT | {"positions": positions}
    short_bot.save()
    run = services.start(short_bot, START)
    close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
    runs.advance_due()
    Market.objects.update(last=90.0)
    with pytest.raises(services.Refused, match="cannot be kept without a bot"):
        services.stop(short_bot, close_position=False)
    services.stop(short_bot, close_position=True)
    run.refresh_from_db()
    assert (run.position, run.trades.order_by("number").last().side) == (0, "buy")
    assert run.cash > 1050
    assert account.balances.get(currency="USDT").free == 9000 + run.cash
    assert not account.balances.filter(currency="SOL").exclude(free=0).exists()


def test_a_run_on_a_swap_that_fails_gives_back_what_it_is_worth(short_bot, close, rates, account):
    rates()
    run = services.start(short_bot, START)
    close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
    runs.advance_due()
    Run.objects.filter(pk=run.pk).update(state=b"broken")
    close(bars((90, 90, 90, 90), start=START + 2 * MINUTE))
    runs.advance_due()
    run.refresh_from_db()
    assert (run.status, run.position) == ("stopped", Decimal("-5.964"))
    assert account.balances.get(currency="USDT").free == 9000 + run.equity
    assert not account.balances.filter(currency="SOL").exclude(free=0).exists()


def test_no_position_on_a_swap_is_too_small_to_be_closed(short_bot, close, rates, account):
    """It cannot be kept either: the bot could never be stopped."""
    rates()
    run = services.start(short_bot, START)
    close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
    runs.advance_due()
    Market.objects.update(min_cost=1_000_000)
    services.stop(short_bot, close_position=True)
    run.refresh_from_db()
    assert (run.status, run.position) == ("stopped", 0)
    assert account.balances.get(currency="USDT").free == 9000 + run.cash


def test_a_grid_on_a_swap_closes_what_it_holds_when_it_ends(bot, swap, close, rates):
    """An account can keep coins, but no position that no bot looks after."""
    rates()
    bot.market, bot.params = swap, {"lower": 90.0, "upper": 110.0, "lines": 5, "stop_loss": 85.0, "sell_at_end": False}
    bot.save()
    run = services.start(bot, START)
    close(bars((100, 100, 84, 86), (86, 90, 80, 88)))
    runs.advance_due()
    run.refresh_from_db()
    assert (run.status, run.position) == ("stopped", 0)


def test_candles_without_an_hour_ask_for_no_rates(swap, django_assert_num_queries):
    from bots.funding import rates_of

    with django_assert_num_queries(0):
        assert not len(rates_of((swap.pk, 60, FIRST), bars((1, 1, 1, 1), start=FIRST + MINUTE)))
    assert np.array_equal(rates_of((swap.pk, 60, START), bars((1, 1, 1, 1), start=FIRST)).times, [])
