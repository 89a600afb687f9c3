"""What an exchange may do to an order, one event after the other."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots.engine import reactions
from bots.engine.reactions import Booked, Placed
from bots.engine.run import Engine
from bots.engine.types import BUY, LIMIT, LIQUIDATED, NONE, SELL, STOPPED, TRAIL, Terms
from bots.kinds import KINDS
from markets.desk_orders import Faults
from tests.bots.conftest import GRID, START, bars, play
from tests.bots.engine.listening import listening, names
from tests.bots.engine.made_up import TERMS

TERMS_PLAIN = Terms(tick=0.01, lot=0.001)


def grid():
    """A grid of four cells that began above its range: a buy waits at the lower line of each."""
    kind = KINDS["grid"]
    engine = Engine.new(kind, kind.read(GRID), TERMS_PLAIN, 1000.0)
    reactions.react(engine, reactions.opened(START, 112.0))
    return engine


def placed(engine, slot) -> Placed:
    order = engine.orders[slot]
    return Placed(*(int(order[name]) for name in ("sequence", "type", "side", "tag")), float(order["price"]))


def fill(engine, slot, amount, done, before=Booked(), paid=None):  # noqa: B008
    order = placed(engine, slot)
    paid = paid or order.limit
    event = reactions.executed(START, paid, order, START + 5, paid, amount, 0.01, done, before)
    return reactions.react(engine, event)


def test_an_order_filled_in_parts_is_told_once_with_its_whole_amount():
    engine = grid()
    whole = float(engine.orders["amount"][0])
    first, _ = fill(engine, 0, 1.0, done=False)
    assert (engine.orders["type"][0], engine.orders["side"][0], engine.orders["filled"][0]) == (LIMIT, BUY, 1.0)
    assert engine.run["position"][0] == 1.0
    second, _ = fill(engine, 0, round(whole - 1.0, 3), True, Booked(1.0, 90.0, 0.01, 0.0), paid=89.0)
    assert names(first) + names(second) == [("limit", 1, 90.0, 1.0), ("limit", 1, 89.0, round(whole - 1.0, 3))]
    assert first["time"][0] == START + 5
    assert (engine.orders["side"][0], engine.orders["price"][0], engine.orders["amount"][0]) == (SELL, 95.0, whole)
    assert engine.run["position"][0] == pytest.approx(whole)
    assert engine.run["fees"][0] == pytest.approx(0.02)
    assert engine.run["fills"][0] == 2


def test_what_was_filled_of_an_order_that_the_exchange_canceled_is_told():
    engine = grid()
    fill(engine, 0, 1.0, done=False)
    trades, _ = reactions.react(engine, reactions.ended(START, 90.0, placed(engine, 0), Booked(1.0, 90.0, 0.01, 0.0)))
    assert not len(trades), "it was booked already"
    assert (engine.orders["side"][0], engine.orders["price"][0], engine.orders["amount"][0]) == (SELL, 95.0, 1.0)


def test_an_order_that_was_rejected_is_gone_and_the_kind_is_told_nothing():
    engine = grid()
    cash = engine.run["cash"][0]
    trades, notes = reactions.react(engine, reactions.ended(START, 90.0, placed(engine, 0)))
    assert (len(trades), len(notes), engine.orders["type"][0]) == (0, 0, NONE)
    assert (engine.run["position"][0], engine.run["cash"][0]) == (0.0, cash)


def test_an_execution_of_an_order_that_is_wanted_no_more_is_booked_and_told_to_nobody():
    engine = grid()
    order = placed(engine, 0)
    engine.orders["type"][0] = NONE
    before = engine.orders.copy()
    event = reactions.executed(START, 90.0, order, START, 90.0, 2.0, 0.02, True)
    (trade,), _ = reactions.react(engine, event)
    assert (trade["slot"], trade["limit"], trade["side"], trade["amount"]) == (-1, 90.0, BUY, 2.0)
    assert engine.run["position"][0] == 2.0
    assert engine.run["cash"][0] == pytest.approx(1000 - 180 - 0.02)
    assert engine.orders.tobytes() == before.tobytes()


def test_a_trailing_stop_lives_here_until_it_is_touched_then_it_is_sent():
    series = bars((100, 100, 100, 100), (100, 105, 100, 105), (105, 105, 99, 99), (99, 99, 99, 99))
    params = {"start_with": "sell", "sell_activation": 2.0, "sell_distance": 1.0, "cycles": 1}
    live = listening("trailing", params, series).run(bars=2)
    (slot,) = live.engine.wanted()
    assert live.engine.orders["type"][slot] == TRAIL
    assert not len(reactions.to_send(live.engine)), "the exchange knows nothing of it"
    assert (int(slot), SELL, 103.95) in [(s, side, round(p, 2)) for s, side, p in reactions.alerts(live.engine)]
    live.run()
    trades, _ = live.result()
    assert names(trades)[-1][:3] == ("trailing", -1, 103.9)  # 103.95 less the slippage of 0.05 %
    assert live.engine.run["status"][0] == STOPPED


def test_orders_filled_in_parts_come_to_the_same_orders_and_money():
    series = bars((100, 100, 94, 95), (95, 101, 95, 100), (100, 112, 88, 90), (90, 107, 90, 95))
    params = GRID | {"sell_at_end": True, "stop_loss": 80.0}
    whole, _ = listening("grid", params, series).run().result()
    parts, _ = listening("grid", params, series, faults=Faults(parts=3)).run().result()
    assert len(parts) > 2 * len(whole)
    sums = {}
    for trade in parts:
        sums[trade["sequence"]] = sums.get(trade["sequence"], 0.0) + trade["amount"]
    assert sums == pytest.approx({trade["sequence"]: trade["amount"] for trade in whole})


def test_an_order_the_money_does_not_reach_for_is_ended_with_the_reason():
    series = bars((100, 100, 100, 100), (100, 100, 100, 100))
    live = listening("trailing", {"start_with": "sell"}, series, money=50.0).run()
    assert [info.status for info in live.ended] == ["rejected"]
    assert live.ended[0].reason.startswith("it costs ")
    assert "USDT, and the account holds 50.00000005" in live.ended[0].reason
    trades, _ = live.result()
    assert not len(trades)
    assert not live.engine.wanted().size


def test_the_exchange_liquidates_and_the_run_ends():
    series = bars((100, 100, 100, 100), (100, 101, 90, 91), (91, 95, 80, 95))
    live = listening("futures_position", {"side": "long", "leverage": 10, "size": 90, "stop_loss": None}, series)
    live.run()
    trades, notes = live.result()
    opened, taken = names(trades)
    # 10,000 less fees of 89.9…: at the next price 0.5 % of the value is all that is left, 91 is not reached before.
    assert opened[:2] == ("market", 1)
    assert taken == ("liquidation", -1, taken[2], opened[3])
    assert 88 < taken[2] < 91
    assert live.desk.balances["SOL"] == 0
    assert 0 <= live.desk.balances["USDT"] < Decimal("1e-6")
    assert live.engine.run["status"][0] == STOPPED
    assert live.engine.run["position"][0] == 0.0
    assert LIQUIDATED in notes["code"]
    assert not live.engine.wanted().size


def test_a_kind_that_runs_in_circles_is_stopped_where_the_loop_stops_it(monkeypatch):
    """Levels a tick apart after rounding trade with each other for ever; check() refuses them, read() does not."""
    engine, steps = play("grid", GRID, bars((100, 100, 94, 95)), TERMS)
    assert not len(steps.notes[steps.notes["code"] == 5])
    trades, notes = reactions.react(engine, reactions.circled(START + 60_000, 95.0, 1064))
    assert not len(trades)
    assert [(note["code"], note["value"]) for note in notes] == [(5, 1064.0)]
    assert not engine.wanted().size
