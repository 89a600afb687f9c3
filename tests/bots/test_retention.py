"""What is forgotten and when; what traded is kept for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Min
from django.utils import timezone

from bots import live, live_money, retention, runs, services
from bots.kinds import KINDS
from bots.models import Backtest, Bot, EquitySnapshot, Event, Order, Position, Run, Trade
from markets.models import Candle, Feed
from markets.services import apply_retention
from tests.bots.conftest import MINUTE, START, bars
from tests.markets.conftest import made_candles

PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


@pytest.fixture
def run(bot, close):
    run = services.start(bot, START)
    close(bars(*PASS))
    runs.advance_due()
    run.refresh_from_db()
    return run


def ids(model) -> set[int]:
    return set(model.objects.values_list("pk", flat=True))


def test_events_go_when_they_were_recorded_half_a_year_ago(run):
    now = timezone.now()
    old, kept = Event.objects.order_by("pk")[:2]
    Event.objects.filter(pk=old.pk).update(recorded_at=now - retention.EVENTS_KEPT - timedelta(minutes=1))
    # What happened long ago in market time may have been recorded just now.
    Event.objects.filter(pk=kept.pk).update(
        recorded_at=now - retention.EVENTS_KEPT + timedelta(minutes=1), time=now - 2 * retention.EVENTS_KEPT
    )
    before = ids(Event)
    retention.apply()
    assert ids(Event) == before - {old.pk}


@pytest.mark.parametrize(("days", "left"), [(180, ["kept", "queued"]), (0, ["gone", "kept", "queued"])])
def test_finished_backtests_are_kept_for_the_days_that_are_set(bot, settings, days, left):
    settings.BACKTESTS_KEPT_DAYS = days
    for age, kind in ((181, "gone"), (179, "kept"), (None, "queued")):
        Backtest.objects.create(
            owner=bot.owner, market=bot.market, kind=kind, timeframe=60, allocation=1, terms={}, begin=0, end=1, bars=2,
            finished_at=age and timezone.now() - timedelta(days=age), created_at=timezone.now() - timedelta(days=400),
        )  # fmt: skip
    retention.apply()
    assert sorted(Backtest.objects.values_list("kind", flat=True)) == left


def test_of_old_orders_only_those_that_were_withdrawn_untouched_go(bot, run):
    services.pause(bot)
    services.resume(bot)
    part = Order.objects.filter(status="canceled").first()
    Order.objects.filter(pk=part.pk).update(filled=part.amount / 2)
    Order.objects.update(updated_at=timezone.now() - retention.CANCELED_ORDERS_KEPT - timedelta(minutes=1))
    going = set(Order.objects.filter(status="canceled").exclude(pk=part.pk).values_list("pk", flat=True))
    before = ids(Order)
    assert going
    EquitySnapshot.objects.all().delete()
    assert retention.apply() == len(going)
    assert ids(Order) == before - going
    assert {"open", "closed", "canceled"} == set(Order.objects.values_list("status", flat=True))


def test_a_live_run_keeps_the_orders_whose_client_ids_its_exchange_knows(bot, close, exchange, owner):
    """One that fails and has to close its position counts on from them: a client id is never given twice."""
    bot.account = live_money.open_account(owner, "Live", exchange, {"USDT": Decimal(10_000)})
    bot.save()
    services.start(bot, START)
    close(bars(*PASS))
    live.advance_due()
    services.pause(bot)
    live.advance_due()
    Order.objects.update(updated_at=timezone.now() - retention.CANCELED_ORDERS_KEPT - timedelta(minutes=1))
    before = ids(Order)
    retention.apply()
    assert ids(Order) == before
    services.stop(bot, close_position=False)
    live.advance_due()
    retention.apply()
    assert ids(Order) < before


def test_a_withdrawn_order_is_kept_for_a_month(bot, run):
    services.pause(bot)
    before = ids(Order)
    Order.objects.update(updated_at=timezone.now() - retention.CANCELED_ORDERS_KEPT + timedelta(minutes=1))
    retention.apply()
    assert ids(Order) == before


def test_trades_runs_and_positions_are_kept_however_old(bot, run):
    services.stop(bot, close_position=True)
    long_ago = datetime(2011, 1, 1, tzinfo=UTC)
    Trade.objects.update(time=long_ago)
    Run.objects.update(started_at=long_ago, stopped_at=long_ago)
    Position.objects.update(opened_at=long_ago, closed_at=long_ago)
    Order.objects.filter(status="closed").update(created_at=long_ago, updated_at=long_ago)
    before = [ids(Trade), ids(Run), ids(Position), set(Order.objects.filter(filled__gt=0).values_list("pk", flat=True))]
    retention.apply()
    after = [ids(Trade), ids(Run), ids(Position), set(Order.objects.filter(filled__gt=0).values_list("pk", flat=True))]
    assert after == before
    assert all(before)


def test_an_old_equity_curve_keeps_the_full_hours(bot, run):
    EquitySnapshot.objects.all().delete()
    edge = (timezone.now() - retention.FINE_EQUITY_KEPT).replace(minute=0, second=0, microsecond=0)
    times = [edge + timedelta(minutes=5 * step) for step in range(-24, 48)]
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(bot=bot, run=run, time=time, equity=1, cash=1, position=0, price=1) for time in times
    )
    before = timezone.now() - retention.FINE_EQUITY_KEPT
    retention.apply()
    left = set(EquitySnapshot.objects.values_list("time", flat=True))
    assert left == {time for time in times if time >= before or time.minute == 0}
    assert len(left) < len(times)


def test_more_than_a_batch_is_deleted_in_one_go(bot, run, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    Event.objects.update(recorded_at=timezone.now() - 2 * retention.EVENTS_KEPT)
    many = Event.objects.count()
    assert many > 4
    assert retention.apply() >= many
    assert not Event.objects.exists()


def test_candles_that_a_run_is_shown_are_kept_until_it_is_over(bot, close, feed):
    params = {"long_entry": "close crosses above ema(200)", "long_exit": "close crosses below ema(200)"}
    Bot.objects.filter(pk=bot.pk).update(kind="signal", params=params)
    bot.refresh_from_db()
    close(made_candles(9_000, start=START - 9_000 * MINUTE))
    Feed.objects.update(keep_days=1)
    run = services.start(bot, START)
    lead = KINDS["signal"].lead(KINDS["signal"].read(params), 60)
    assert 1_440 < lead < 9_000
    retention.apply()
    apply_retention()
    assert Candle.objects.aggregate(first=Min("time"))["first"] == run.bar_time - lead * MINUTE
    services.pause(bot)
    retention.apply()
    assert apply_retention() == 0
    services.stop(bot, close_position=False)
    retention.apply()
    feed.refresh_from_db()
    assert feed.needed_from is None
    apply_retention()
    assert Candle.objects.aggregate(first=Min("time"))["first"] == feed.synced_to - 1_440 * MINUTE


@pytest.mark.parametrize("kind", ["signal", "not installed any more"])
def test_a_run_whose_parameters_cannot_be_read_holds_up_no_retention(run, feed, kind):
    Run.objects.update(kind=kind, params={"long_entry": "nonsense("})
    retention.apply()
    feed.refresh_from_db()
    assert feed.needed_from == run.bar_time
