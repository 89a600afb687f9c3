"""Kinds that look at candles are shown the same in a backtest, on paper and in a replay."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection

from bots import runs, services
from bots.bars import STORED, SeriesBars
from bots.kinds import KINDS
from bots.models import Bot, Run
from bots.observations import observe
from markets import candles as store
from tests.bots.conftest import MINUTE, START, arrive
from tests.bots.test_runs import exact, stored, wandering

CROSS = {
    "long_entry": "close crosses above sma(12) and rsi(5)@5m < 80",
    "long_exit": "close crosses below sma(12)",
    "stop_loss": 2,
}


@pytest.fixture
def signal_bot(bot):
    bot.kind, bot.params = "signal", CROSS
    bot.save()
    return bot


def history(count: int = 2000):
    """What had closed before the bot started."""
    candles = wandering(count, seed=9)
    candles.time[:] -= count * MINUTE
    return candles


def expected(bot: Bot, candles):
    return runs.backtest(bot.kind, bot.params, bot.market, 60, bot.allocation, candles)


@pytest.mark.parametrize("stretches", [[400], [1] * 60 + [340], [7] * 57 + [1]])
@pytest.mark.parametrize("before", [0, 2000])
def test_paper_sees_what_the_backtest_sees_however_the_candles_come(signal_bot, close, stretches, before):
    if before:
        close(history(before))
    candles = wandering()
    run = services.start(signal_bot, START)
    arrive(close, candles, stretches, runs.advance_due)
    backtest = expected(signal_bot, candles)
    assert len(backtest.trades) >= 20
    assert stored(run) == exact(backtest)


def test_what_closed_before_the_first_candle_is_known(signal_bot, close):
    """With a history the averages are known at once; without one they warm up first."""
    signal_bot.params = CROSS | {"long_entry": "close > sma(12) or close <= sma(12)"}
    alone = expected(signal_bot, wandering())
    close(history())
    informed = expected(signal_bot, wandering())
    assert informed.trades[0].time < alone.trades[0].time


def test_a_replayed_series_shows_the_same_before_a_candle_as_the_database(market, close):
    close(history(30))
    candles = wandering(40)
    close(candles)
    series = SeriesBars(candles)
    for series.shown in (0, 1, 7, 39):
        end = int(candles.time[series.shown])
        for count in (1, 5, 20, 60, 500):
            fresh = SeriesBars(candles)
            fresh.shown = series.shown
            shown = fresh.before(market.pk, 60, end, count)
            assert shown.time.tolist() == STORED.before(market.pk, 60, end, count).time.tolist()


def test_runs_with_the_same_rules_on_a_market_look_once(
    signal_bot, close, account, django_assert_num_queries, monkeypatch
):
    for number in range(10):
        other = Bot.objects.create(
            owner=signal_bot.owner, account=account, market=signal_bot.market, name=f"Signal {number}", kind="signal",
            timeframe=60, allocation=Decimal(500), params=CROSS | {"stop_loss": 2 + number % 2},
        )  # fmt: skip
        services.start(other, START)
    close(history())
    close(wandering(1))
    runs.advance_due()
    close(wandering(2)[1:])
    # A savepoint and its end, claim, states, candles (2), where the lead begins, one lead for all; then what quiet runs
    # cost: 5.
    with django_assert_num_queries(13, connection=connection):
        assert runs.advance(runs.due(), STORED) == 10


def test_a_signal_bot_can_be_stopped_with_its_position_sold(signal_bot, close):
    run = services.start(signal_bot, START)
    for length in range(400):
        close(wandering()[length : length + 1])
        runs.advance_due()
        run.refresh_from_db()
        if run.position:
            break
    services.stop(signal_bot, close_position=True)
    run.refresh_from_db()
    assert run.position == 0
    assert run.trades.order_by("number").last().tag == "close"


def test_rules_that_need_more_candles_than_are_loaded_do_not_start(signal_bot):
    signal_bot.params = CROSS | {"long_entry": "rsi(500)@1d < 30"}
    signal_bot.save()
    with pytest.raises(services.Refused, match="needs") as caught:
        services.start(signal_bot, START)
    assert not Run.objects.exists()
    assert str(caught.value).startswith("long_entry: rsi(500)@1d needs 15,847,201 candles of 1m")


@pytest.mark.parametrize("slug", [slug for slug, kind in KINDS.items() if kind.observe is None])
def test_kinds_that_do_not_look_load_nothing(slug, market, django_assert_num_queries):
    kind = KINDS[slug]
    with django_assert_num_queries(0):
        assert not len(observe(kind, kind.read(kind.example), market.pk, 60, wandering(5)))


def test_there_is_nothing_to_see_in_no_candles(market):
    kind = KINDS["signal"]
    assert not len(observe(kind, kind.read(CROSS), market.pk, 60, store.load(market.pk, 60)))
