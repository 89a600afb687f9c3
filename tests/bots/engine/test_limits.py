"""What a person's limits do to a run: tables of bars."""

from __future__ import annotations

import numpy as np
import pytest

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import (
    DRAWDOWN_HIT,
    HELD_AFTER_LOSS,
    HELD_DAILY_LOSS,
    REFUSED_MAX_POSITION,
    REFUSED_OPEN_ORDERS,
    RELEASED,
    STOPPED,
    Limits,
    Terms,
)
from bots.kinds import KINDS
from tests.bots.conftest import MINUTE, START, bars, fills
from tests.bots.engine.scripted import run_script

FLAT = (100, 100, 100, 100)
DAY = 86_400_000


def flat(price):
    return (price, price, price, price)


def codes(steps):
    return steps.notes["code"].tolist()


def test_an_order_beyond_the_most_open_orders_is_refused_with_its_reason():
    orders = {0: ("limit", "buy", 90, 1, 0), 1: ("limit", "buy", 91, 1, 1), 2: ("limit", "buy", 92, 1, 2)}
    engine, steps = run_script(bars(*[FLAT] * 4), orders, limits=Limits(max_open_orders=2))
    assert engine.orders["price"].tolist()[:2] == [90.0, 91.0]
    assert codes(steps) == [REFUSED_OPEN_ORDERS]
    assert steps.notes["value"].tolist() == [2.0]


def test_what_closes_the_position_may_be_placed_whatever_the_limit():
    orders = {0: ("market", "buy", 0, 1, 0), 1: ("limit", "buy", 90, 1, 1), 2: ("stop", "sell", 80, 1, 2)}
    _, steps = run_script(bars(*[FLAT] * 4), orders, limits=Limits(max_open_orders=1, max_position=200))
    assert codes(steps) == []


def test_the_position_with_all_its_entries_stays_within_its_limit():
    orders = {0: ("market", "buy", 0, 2, 0), 1: ("limit", "buy", 100, 1, 1), 2: ("limit", "buy", 99, 1, 2)}
    engine, steps = run_script(bars(FLAT, FLAT, flat(101), flat(101)), orders, limits=Limits(max_position=350))
    assert codes(steps) == [REFUSED_MAX_POSITION]
    assert engine.run["position"][0] == 2.0


def test_a_loss_holds_entries_for_its_cooldown_and_lets_them_go_after_it():
    rows = [FLAT, FLAT, flat(90), flat(90), (90, 90, 80, 80), flat(80), flat(80), flat(80)]
    orders = {
        0: ("market", "buy", 0, 2, 0),
        2: ("market", "sell", 0, 2, 0),  # loses at the open of bar 3
        3: ("limit", "buy", 85, 2, 1),  # touched in bar 4, but held until bar 6
    }
    engine, steps = run_script(bars(*rows), orders, limits=Limits(loss_cooldown=3 * MINUTE))
    assert fills(steps) == [("buy", 100.0, 2.0), ("sell", 90.0, 2.0), ("buy", 80.0, 2.0)]
    assert codes(steps) == [HELD_AFTER_LOSS, RELEASED]
    assert steps.trades["time"][-1] == START + 6 * MINUTE
    assert engine.run["held_until"][0] == 0


def test_an_order_that_was_crossed_while_it_was_held_pays_as_a_taker():
    rows = [FLAT, FLAT, flat(90), flat(90), flat(80), flat(80), flat(80)]
    orders = {0: ("market", "buy", 0, 2, 0), 2: ("market", "sell", 0, 2, 0), 3: ("limit", "buy", 85, 2, 1)}
    _, steps = run_script(bars(*rows), orders, Terms(taker=0.01), limits=Limits(loss_cooldown=2 * MINUTE))
    assert steps.trades["fee"][-1] == pytest.approx(1.6)


def test_exits_work_while_entries_are_held():
    rows = [FLAT, FLAT, flat(90), flat(90), (90, 96, 90, 96)]
    orders = {0: ("market", "buy", 0, 2, 0), 1: ("limit", "sell", 95, 1, 1), 2: ("market", "sell", 0, 1, 0)}
    _, steps = run_script(bars(*rows), orders, limits=Limits(loss_cooldown=60 * MINUTE))
    assert [side for side, *_ in fills(steps)] == ["buy", "sell", "sell"]


def test_a_days_loss_holds_entries_until_midnight_utc():
    midnight = START // DAY * DAY + DAY
    first = midnight - 4 * MINUTE
    rows = [FLAT, FLAT, flat(89), flat(89), flat(88), flat(88)]
    orders = {0: ("market", "buy", 0, 5, 0), 2: ("limit", "buy", 88.5, 1, 1), 3: ("limit", "buy", 88.5, 1, 2)}
    engine, steps = run_script(bars(*rows, start=first), orders, limits=Limits(max_daily_loss=50))
    assert codes(steps) == [HELD_DAILY_LOSS, RELEASED]
    assert steps.notes["time"].tolist() == [first + 2 * MINUTE, midnight]
    assert steps.notes["value"][0] == pytest.approx(55.0)
    # Both entries fill at the first open of the new day; its loss is measured from there.
    assert [price for _, price, _ in fills(steps)] == [100.0, 88.0, 88.0]
    assert engine.run["day_equity"][0] == pytest.approx(945.0)


@pytest.mark.parametrize("keep", [False, True])
def test_the_fall_from_the_highest_equity_ends_the_run(keep):
    rows = [FLAT, FLAT, flat(150), flat(131), flat(120), flat(120)]
    limits = Limits(max_drawdown=0.1, keep_at_drawdown=keep)
    engine, steps = run_script(bars(*rows), {0: ("market", "buy", 0, 10, 0)}, limits=limits)
    assert codes(steps) == [DRAWDOWN_HIT]
    # From 1500 at 150; 1310 at 131 is a fall of 12.7 %.
    assert steps.notes["value"][0] == pytest.approx(100 * 190 / 1500)
    assert engine.run["status"][0] == STOPPED
    assert fills(steps)[1:] == ([] if keep else [("sell", 120.0, 10.0)])
    close = steps.trades["tag"][1:].tolist()
    assert close == [] if keep else [KINDS["grid"].tags.index("close")]


def test_a_loss_with_the_first_trade_counts_as_a_drawdown():
    engine, _ = run_script(
        bars(FLAT, FLAT, flat(89), flat(89)), {0: ("market", "buy", 0, 10, 0)}, limits=Limits(max_drawdown=0.1)
    )
    assert engine.run["status"][0] == STOPPED


def test_limits_that_are_never_reached_change_nothing():
    random = np.random.default_rng(1)
    prices = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, 300))), 2)
    rows = [flat(price) for price in prices]
    orders = {bar: ("market", "buy" if bar % 20 == 0 else "sell", 0, 1, 0) for bar in range(0, 290, 10)}
    _, free = run_script(bars(*rows), orders)
    far = Limits(max_position=1e9, max_open_orders=99, max_daily_loss=1e9, max_drawdown=0.99)
    _, limited = run_script(bars(*rows), orders, limits=far)
    assert limited.trades.tobytes() == free.trades.tobytes()
    assert limited.equity.tobytes() == free.equity.tobytes()


@pytest.mark.parametrize("slug", ["futures_position", "dca", "accumulation"])
def test_a_run_that_a_limit_ended_does_not_enter_again_when_its_position_is_closed(slug):
    """Kinds go on to the next deal when a position is gone; not once the run is over."""
    params = {
        "futures_position": {"positions": 0, "size": 90, "stop_loss": None},
        "dca": {"base_order": 400.0, "safety_order": 100.0, "max_safety_orders": 0, "take_profit": 50.0},
        "accumulation": {"amount": 400.0, "interval": 60, "take_profit": 50.0},
    }[slug]
    kind = KINDS[slug]
    terms = Terms(tick=0.01, lot=0.001, margin=kind.margin)
    engine = Engine.new(kind, kind.read(params), terms, 1000.0, Limits(max_drawdown=0.02))
    steps = step(engine, bars(*[FLAT] * 4, *[flat(90)] * 5))
    assert DRAWDOWN_HIT in codes(steps)
    assert (engine.run["status"][0], engine.run["position"][0]) == (STOPPED, 0.0)
    assert steps.trades["tag"][-1] == kind.tags.index("close")
    assert not engine.wanted().size
