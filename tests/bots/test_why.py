"""Why is this bot not trading? An answer for every bot, whatever keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from bots import halts, predictions, runs, services, why
from bots.engine import types
from bots.kinds import KINDS
from bots.models import Account, Bot, Event, Order, Run
from bots.predictions import Series
from bots.records import note_event
from markets.models import Exchange, Feed, Market
from tests.bots.conftest import GRID, MINUTE, START, bars

# The candle of START has just closed, and the one after it is open.
NOW = datetime.fromtimestamp((START + MINUTE + 5_000) / 1000, UTC)
CLOCK = f"{datetime.fromtimestamp(START / 1000, UTC):%Y-%m-%d} 22:"


def told(bot, now=NOW) -> str:
    found = why.with_orders(Bot.objects.select_related("market__exchange", "account")).get(pk=bot.pk)
    return why.answer(found, bot.runs.first(), list(bot.events.order_by("-id")[:100]), now)


@pytest.fixture
def trading(bot, close):
    """The bot's run after one candle: it bought its start, and its lines rest."""
    run = services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    run.refresh_from_db()
    return run


def event(run, code, message, minutes_ago=1, **data):
    return Event.objects.create(
        owner=run.bot.owner, bot=run.bot, run=run, code=code, message=message, data=data,
        time=NOW - timedelta(minutes=minutes_ago),
    )  # fmt: skip


def test_a_draft_was_never_started(bot):
    assert told(bot) == "A draft: it was never started."


def test_a_paused_or_stopped_bot_says_who_did_it(bot, trading):
    services.pause(bot, by="ann")
    assert told(bot) == "Paused by ann: its orders are withdrawn, its position is kept."
    services.stop(bot, close_position=False, by="bob")
    assert told(bot) == "Stopped by bob: its orders are withdrawn, its position is kept in the account."


def test_a_failed_bot_says_what_went_wrong(bot, trading, close):
    Run.objects.update(state=b"nothing")
    close(bars((100, 101, 99, 100), start=START + MINUTE))
    runs.advance_due()
    assert told(bot).startswith("Failed: saved state has ")


def test_a_halted_bot_names_the_account_the_person_and_the_time(bot, account, trading):
    halts.halt(Account.objects.all(), "ann", close_positions=False)
    account.refresh_from_db()
    since = f"{account.halted_at:%Y-%m-%d %H:%M}"
    assert told(bot) == (
        "Halted by ann: its orders are withdrawn, its position is kept. "
        f"Account Paper is halted since {since} UTC. Halted by ann."
    )
    halts.halt(None, "boss", close_positions=False)
    assert told(bot).endswith(f"All accounts are halted since {since} UTC. Halted by boss.")
    halts.release(None, "boss")
    halts.release(Account.objects.all(), "boss")
    assert told(bot) == "Halted by ann: its orders are withdrawn, its position is kept."


def test_a_fresh_bot_waits_for_its_first_candle(bot, feed):
    services.start(bot, START + MINUTE)
    assert told(bot) == "Waiting for a candle: the feed of SOL/USDT 1m has none yet."
    feed.synced_to = START
    feed.save()
    assert told(bot) == f"Waiting for its first candle, which closes at {CLOCK}16 UTC."


FEEDS = [
    ({"enabled": False}, "No candles come: the feed of SOL/USDT 1m is switched off."),
    ({"error": "Simulated timed out."}, "No candles come: the feed of SOL/USDT 1m fails. Simulated timed out."),
    (
        {"synced_to": START - 9 * MINUTE},
        f"Waiting for a candle: the feed of SOL/USDT 1m is behind, its last one closed at {CLOCK}06 UTC.",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), FEEDS)
def test_a_feed_that_brings_nothing_is_named(bot, trading, change, sentence):
    Feed.objects.update(**change)
    assert told(bot) == sentence


def test_a_feed_that_is_gone_and_an_exchange_or_market_that_is_off_are_named(bot, trading):
    Feed.objects.all().delete()
    assert told(bot) == "No candles come: the feed of SOL/USDT 1m is missing."
    Market.objects.update(active=False)
    assert told(bot) == "SOL/USDT is not active on Simulated any more: no candles come."
    Exchange.objects.update(enabled=False)
    assert told(bot) == "Simulated is switched off: no candles come."


def test_candles_that_no_worker_showed_it_are_told_after_a_while(bot, trading, close):
    close(bars((100, 101, 99, 100), start=START + MINUTE))
    assert told(bot, NOW + timedelta(seconds=60)).startswith("Waiting for the price")
    assert told(bot, NOW + timedelta(seconds=200)) == (
        f"The candles since {CLOCK}16 UTC are stored, but no worker has shown them to it yet."
    )


def test_resting_orders_are_told_with_the_distance_to_the_nearest(bot, trading):
    resting = Order.objects.filter(status="open")
    buy = max(order.price for order in resting if order.side == "buy")
    sell = min(order.price for order in resting if order.side == "sell")
    assert (buy, sell) == (95, 105)
    Market.objects.update(last=101.0)
    assert told(bot) == (
        f"Waiting for the price: {resting.count()} orders rest; the nearest buy at 95 is 5.94 % below it, "
        "the nearest sell at 105 is 3.96 % above it."
    )


def test_prices_are_grouped_as_on_the_rest_of_the_page(bot, trading):
    Market.objects.update(last=60_000)
    Order.objects.exclude(pk=Order.objects.filter(status="open", side="sell")[0].pk).delete()
    Order.objects.update(type="stop", price=Decimal("54000.5"))
    assert "sell at 54,000.5 is 10.00 % below it" in told(bot)


def test_stops_are_told_apart_from_limits(bot, trading):
    Order.objects.exclude(pk=Order.objects.filter(status="open", side="sell")[0].pk).delete()
    Order.objects.update(type="stop", price=Decimal("90"))
    assert told(bot) == "Waiting for the price: 1 order rests; the nearest stop to sell at 90 is 10.00 % below it."


def test_without_orders_the_last_decision_is_the_answer(bot, close):
    bot.params = GRID | {"trigger_price": 85.0}
    bot.save()
    services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    assert told(bot) == "No order rests. Waiting for the price to reach the trigger at 85; it is 100."
    Event.objects.filter(code="decision").delete()
    assert told(bot) == "No order rests: it has decided nothing yet."


def test_a_bot_without_predictions_says_what_its_model_needs(bot, close):
    bot.kind, bot.params = "prediction", {"enter_above": 0.6, "exit_below": 0.4}
    bot.save()
    run = services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    runs.advance_due()
    sentence = "No prediction: logistic needs about 2,708 candles of SOL/USDT 1m in a row, up to the last."
    assert told(bot) == sentence
    predictions.upsert(Series(bot.market_id, 60, "logistic"), np.array([START]), np.array([0.5]))
    assert told(bot) == "No order rests: it waits for a signal."
    Run.objects.filter(pk=run.pk).update(params={"model": "oracle"})
    assert told(bot) == "Its parameters cannot be read: model must be one of logistic, not 'oracle'."


def test_a_hold_is_told_until_it_ends_or_is_lifted(bot, trading):
    until = START + 10 * MINUTE
    event(trading, "held", "Lost 60 USDT today, more than 5 %.", until=until)
    assert told(bot) == f"Its entries are held until {CLOCK}24 UTC. Lost 60 USDT today, more than 5 %."
    Event.objects.filter(code="held").update(data={"until": START})
    assert told(bot).startswith("Waiting for the price")
    Event.objects.filter(code="held").update(data={})
    assert told(bot) == "Its entries are held by a limit. Lost 60 USDT today, more than 5 %."
    event(trading, "released", "The hold is over.")
    assert told(bot).startswith("Waiting for the price")


@pytest.mark.parametrize(
    ("code", "value", "until"),
    [(types.HELD_AFTER_LOSS, 90.0, START + 90_000), (types.HELD_DAILY_LOSS, 60.0, 1_700_006_400_000)],
)
def test_the_engine_s_holds_say_when_they_end(code, value, until):
    note = np.zeros(1, types.NOTE)[0]
    note["time"], note["code"], note["value"] = START, code, value
    level, event_code, _, data = note_event(note, KINDS["grid"])
    assert (level, event_code, data["until"]) == ("warning", why.HELD, until)


def test_the_last_refusal_is_told_until_something_is_traded(bot, trading):
    event(trading, "refused", "Order not placed: its value 0.5 is below the market's minimum.")
    assert told(bot).endswith(
        "% above it. Last refusal at 22:14 UTC: Order not placed: its value 0.5 is below the market's minimum."
    )
    event(trading, "trade", "Bought.")
    assert "refusal" not in told(bot)


def test_what_an_earlier_run_said_counts_no_more(bot, trading, close):
    event(trading, "held", "Lost.")
    services.stop(bot, close_position=True)
    services.start(bot, START)
    runs.advance_due()
    assert "held" not in told(bot)


def test_it_costs_two_queries_for_the_bot_whatever_its_state(bot, trading, django_assert_num_queries):
    found = why.with_orders(Bot.objects.select_related("market__exchange", "account"))
    run, events = bot.runs.first(), list(bot.events.all())
    # the bot with what rests and what is halted, feeds of its market
    with django_assert_num_queries(2):
        why.answer(found.get(pk=bot.pk), run, events, NOW)


def test_a_bot_that_looks_at_candles_waits_for_a_signal(bot, close):
    bot.kind, bot.params = "signal", {"long_entry": "close > 1e9", "stop_loss": 1}
    bot.save()
    services.start(bot, START)
    close(bars((100, 100, 100, 100)))
    runs.advance_due()
    assert told(bot) == "No order rests: it waits for a signal."
