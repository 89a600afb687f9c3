"""Tables: a few bars, the fills they must give. Grid 90, 95, 100, 105, 110 unless said, no fees, no rounding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from numba import njit

from bots.engine.kernel import kernel
from bots.engine.matching import most_fills
from bots.engine.orders import place, place_trailing
from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import BUY, FAILED, LIMIT, MARKET, SELL, TOO_MANY_FILLS, Terms
from bots.kinds import KINDS
from tests.bots.conftest import GRID, bars, fills, play

# Ten units a cell: two cells above 100 are bought at 100, two below wait at 95 and 90.
MONEY = 3850.0


def grid_fills(*rows, money=MONEY, terms=Terms(), **params):  # noqa: B008
    _, steps = play("grid", GRID | params, bars(*rows), terms, money)
    return fills(steps)


START_FILL = ("buy", 100.0, 20.0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(100, 104, 96, 100)], [], id="inside two lines nothing fills"),
        pytest.param([(100, 100, 95, 97)], [("buy", 95.0, 10.0)], id="a touch of the line is a fill"),
        pytest.param([(100, 100, 89, 91)], [("buy", 95.0, 10.0), ("buy", 90.0, 10.0)], id="falling: upper line first"),
        pytest.param(
            [(100, 106, 94, 99)],
            [("sell", 105.0, 10.0), ("buy", 100.0, 10.0), ("buy", 95.0, 10.0)],
            id="a bar that closes lower goes high first, and a fill's order fills in the same bar",
        ),
        pytest.param(
            [(100, 106, 94, 101)],
            [("buy", 95.0, 10.0), ("sell", 100.0, 10.0), ("sell", 105.0, 10.0)],
            id="a bar that closes higher goes low first",
        ),
        pytest.param(
            [(100, 100, 100, 100), (94, 96, 93, 95)],
            [("buy", 94.0, 10.0)],
            id="a gap fills a buy at the better open",
        ),
        pytest.param(
            [(100, 100, 100, 100), (107, 108, 106, 107)],
            [("sell", 107.0, 10.0)],
            id="a gap fills a sell at the better open",
        ),
        pytest.param(
            [(100, 100, 100, 100), (88, 89, 87, 88)],
            [("buy", 88.0, 10.0), ("buy", 88.0, 10.0)],
            id="a gap through two lines fills both at the open",
        ),
        pytest.param(
            [(100, 100, 94, 94), (94, 100, 94, 100), (100, 100, 94, 95)],
            [("buy", 95.0, 10.0), ("sell", 100.0, 10.0), ("buy", 95.0, 10.0)],
            id="a cell buys and sells over and over",
        ),
    ],
)
def test_orders_fill_where_the_path_touches_them(rows, expected):
    assert grid_fills(*rows) == [START_FILL, *expected]


def test_market_orders_pay_slippage_and_the_taker_fee():
    _engine, steps = play("grid", GRID, bars((100, 100, 100, 100)), Terms(taker=0.01, slippage=0.02), MONEY)
    trade = steps.trades[0]
    assert trade["price"] == pytest.approx(102.0)
    assert trade["fee"] == pytest.approx(102.0 * trade["amount"] * 0.01)


def test_resting_orders_pay_the_maker_fee():
    _, steps = play("grid", GRID, bars((100, 100, 94, 95)), Terms(maker=0.001, taker=0.01), MONEY)
    assert steps.trades[1]["fee"] == pytest.approx(95.0 * steps.trades[1]["amount"] * 0.001)


def test_fees_are_rounded_up_to_their_step():
    _, steps = play(
        "grid", GRID, bars((100, 100, 94, 95)), Terms(maker=0.001, taker=0.001, fee_step=0.01, lot=0.1), 1000
    )
    assert [round(float(fee) * 100, 6) % 1 for fee in steps.trades["fee"]] == [0.0, 0.0]
    assert steps.trades["fee"][1] >= steps.trades["price"][1] * steps.trades["amount"][1] * 0.001


@njit
def turn_round(run, orders, setup, params, notes, trade):
    """After every trade: the opposite, at once."""
    place(run, orders, setup, notes, 0, MARKET, -trade["side"], 0.0, trade["amount"], 1)


def test_a_kind_that_runs_in_circles_is_stopped_with_a_reason():
    restless = replace(KINDS["grid"], on_fill=turn_round)
    engine = Engine.new(restless, restless.read(GRID), Terms(), MONEY)
    steps = step(engine, bars((100, 100, 100, 100), (100, 100, 100, 100)))
    assert engine.run["status"][0] == FAILED
    assert steps.notes["code"][-1] == TOO_MANY_FILLS
    assert not engine.orders["type"].any()
    assert len(steps.trades) == most_fills(len(engine.orders))


@njit
def trail_from_the_start(run, orders, setup, params, notes, trade):
    """Once bought: a sell 10 % below the best price."""
    if trade["side"] == BUY:
        place_trailing(run, orders, setup, notes, 0, SELL, 0.1, trade["amount"], 1)


@njit
def buy_ten(run, orders, setup, params, notes, price):
    place(run, orders, setup, notes, 0, MARKET, BUY, 0.0, 10.0, 1)


@pytest.mark.parametrize(
    ("rows", "sold_at"),
    [
        pytest.param([(100, 105, 95, 100), (100, 101, 95, 96)], None, id="nothing while it is within the distance"),
        pytest.param([(100, 101, 89, 92)], 90.9, id="up first: the high of the same bar moves it"),
        pytest.param([(100, 101, 89, 101)], 90.0, id="down first: the high of the same bar comes too late"),
        pytest.param([(100, 120, 100, 120), (120, 121, 107, 107)], 108.9, id="it remembers the best of earlier bars"),
        pytest.param([(100, 120, 100, 120), (105, 106, 104, 105)], 105.0, id="a gap through it sells at the open"),
        pytest.param([(100, 100, 92, 92), (92, 92, 90, 90)], 90.0, id="it never moves against the position"),
    ],
)
def test_a_trailing_stop_follows_the_best_price(rows, sold_at):
    kind = replace(KINDS["grid"], on_start=buy_ten, on_fill=trail_from_the_start)
    engine = Engine.new(kind, kind.read(GRID), Terms(), MONEY)
    steps = step(engine, bars((100, 100, 100, 100), *rows))
    sells = [price for side, price, _ in fills(steps) if side == "sell"]
    assert sells == ([] if sold_at is None else [pytest.approx(sold_at)])


def test_nothing_is_bought_for_nothing_on_a_tick_coarser_than_the_price():
    _, steps = play("trailing", {"start_with": "sell"}, bars((1, 1, 1, 1)), Terms(tick=10.0), 1000.0)
    assert fills(steps) == [("buy", 10.0, 100.0)]


@kernel
def places_nonsense(run, orders, setup, params, notes, price):
    """A kind's mistake: a division by zero, which numba would print and pass over in a function it got as a pointer."""
    place(run, orders, setup, notes, 0, MARKET, BUY, 0.0, price / (price - price), 0)
    place(run, orders, setup, notes, 1, LIMIT, BUY, (price - price) / (price - price), 1.0, 0)


@kernel
def ignores_fills(run, orders, setup, params, notes, trade):
    pass


def test_a_division_by_zero_places_nothing_and_is_told(capfd):
    kind = replace(KINDS["grid"], on_start=places_nonsense, on_fill=ignores_fills)
    engine = Engine.new(kind, kind.read(GRID), Terms(), 1000.0)
    steps = step(engine, bars((100, 100, 100, 100), (100, 101, 99, 100)))
    assert not len(steps.trades)
    assert not engine.wanted().size
    assert len(steps.notes) == 2
    assert "Error" not in capfd.readouterr().err
