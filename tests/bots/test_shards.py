"""Which runs a process leads first, and what leading them costs in queries."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection

from bots import runs, services
from bots.bars import STORED
from bots.benchmarks import fleet
from bots.models import Bot, Run, Trade
from markets.models import Candle
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.bots.test_runs import wandering


def test_a_shard_takes_a_bounded_number_of_queries(bot, close, account, django_assert_num_queries):
    """Ten runs on one market cost what one costs.

    1 savepoint, 2 claim, 3 candles, 4 trades, 5 open orders, 6 new orders, 7 open positions, 8 new positions,
    9 equity, 10 events, 11 runs, 12 notify, 13 release, 14 what never changes in a run (once a process), 15 the books,
    16 how the candles are planned; order updates come only when an order ends.
    """
    for number in range(10):
        other = Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name=f"Grid {number}", kind="grid", timeframe=60,
            allocation=Decimal(500), params=GRID,
        )  # fmt: skip
        services.start(other, START)
    close(wandering()[:1])
    with django_assert_num_queries(16, connection=connection):
        assert runs.advance(runs.due(), STORED) == 10


def test_a_candle_at_which_nothing_happens_moves_three_columns_alone(bot, close, django_assert_num_queries):
    run = services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    before = Run.objects.filter(pk=run.pk).values().get()
    close(bars((100, 101, 99, 100.25), start=START + MINUTE))
    # A savepoint and its end, claim, saved state, candles and how they are planned; the stage made, emptied, filled and
    # moved from; whom it concerns.
    with django_assert_num_queries(11, connection=connection):
        assert runs.advance(runs.due(), STORED) == 1
    after = Run.objects.filter(pk=run.pk).values().get()
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"bar_time", "last_price", "equity"}
    assert after["equity"] == after["cash"] + after["position"] * Decimal("100.25")
    assert Trade.objects.filter(run=run).count() == before["trades_count"]


def test_the_state_of_a_quiet_run_is_read_once(bot, close, django_assert_num_queries):
    services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    for number in (1, 2):
        close(bars((100, 101, 99, 100), start=START + number * MINUTE))
        with django_assert_num_queries(12 - number, connection=connection):
            assert runs.advance(runs.due(), STORED) == 1


@pytest.fixture
def quartet(db, monkeypatch):
    """Four bots on a market each, whose first candle has closed; two to a transaction."""
    bots = fleet.make(4, 4, candles=2)
    monkeypatch.setattr(runs, "FIRST_SHARD", 2)
    bots.close()
    return bots


def test_whoever_has_waited_longest_is_led_before_those_whose_next_candle_closed_meanwhile(quartet):
    *_, third, fourth = runs.due().values_list("pk", flat=True)
    behind = []

    def close_another(candles):
        behind.append(set(Run.objects.filter(bar_time__lt=fleet.FIRST_MS).values_list("pk", flat=True)))
        if len(behind) == 1:
            quartet.close()

    assert runs.advance_due(close_another) == 6  # the last two see both candles at once
    assert behind[:2] == [{third, fourth}, set()]
    assert quartet.behind() == 0


def test_every_other_process_starts_with_the_last_markets(quartet):
    first, second, *_ = runs.due().values_list("pk", flat=True)
    behind = []

    def look(candles):
        behind.append(set(Run.objects.filter(bar_time__lt=fleet.FIRST_MS).values_list("pk", flat=True)))

    assert runs.advance_due(look, backwards=True) == 4
    assert behind == [{first, second}, set()]


def test_runs_whose_candles_are_gone_hold_up_nobody_behind_them(quartet):
    gone = quartet.markets[:2]
    Candle.objects.filter(market_id__in=[market.pk for market in gone]).delete()
    assert runs.advance_due() == 2
    assert set(runs.due().values_list("market", flat=True)) == {market.pk for market in gone}
