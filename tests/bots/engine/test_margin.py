"""Shorts, leverage, liquidation, funding: tables of bars."""

from __future__ import annotations

import numpy as np
import pytest

from bots.engine.simulate import Funding
from bots.engine.types import LIQUIDATED, LIQUIDATION, REFUSED_MARGIN, REFUSED_POSITION, STOPPED, Terms
from tests.bots.conftest import MINUTE, START, bars, fills
from tests.bots.engine.scripted import MARGIN, run_script

FLAT = (100, 100, 100, 100)


def test_a_short_earns_what_the_price_falls():
    engine, steps = run_script(
        bars(FLAT, FLAT, (90, 90, 90, 90), FLAT),
        {0: ("market", "sell", 0, 10), 1: ("market", "buy", 0, 10)},
        MARGIN,
    )
    assert fills(steps) == [("sell", 100.0, 10.0), ("buy", 90.0, 10.0)]
    assert engine.run["realized"][0] == 100.0
    assert steps.equity.tolist() == [1000.0, 1000.0, 1100.0, 1100.0]


def test_spot_knows_no_short():
    _, steps = run_script(bars(FLAT, FLAT), {0: ("market", "sell", 0, 1)})
    assert not len(steps.trades)
    assert steps.notes["code"].tolist() == [REFUSED_POSITION]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_leverage_is_what_the_margin_carries_and_no_more(side):
    for amount, allowed in ((50.0, True), (50.01, False)):
        _, steps = run_script(bars(FLAT, FLAT), {0: ("market", side, 0, amount)}, MARGIN, leverage=5.0)
        assert len(steps.trades) == allowed
        assert (steps.notes["code"].tolist() == [REFUSED_MARGIN]) != allowed


def test_resting_entries_hold_margin_back_side_by_side_but_not_against_each_other():
    orders = {0: ("limit", "buy", 99, 10.0, 0), 1: ("limit", "sell", 101, 9.9, 1), 2: ("limit", "buy", 98, 10, 2)}
    engine, steps = run_script(bars(*[FLAT] * 4), orders, MARGIN)
    assert engine.orders["type"].astype(bool).tolist()[:3] == [True, True, False]
    assert steps.notes["code"].tolist() == [REFUSED_MARGIN]


def test_an_order_that_only_reduces_needs_no_margin():
    rows = [FLAT, FLAT, (85, 85, 85, 85), (85, 85, 85, 85)]
    _, steps = run_script(
        bars(*rows), {0: ("market", "buy", 0, 50), 2: ("market", "sell", 0, 50)}, Terms(margin=True), leverage=5.0
    )
    assert [side for side, *_ in fills(steps)] == ["buy", "sell"]


@pytest.mark.parametrize(
    ("side", "rows", "liquidated_at"),
    [
        # Long 40 at 100 with 1000: cash -3000; 3000 / (40 * 0.9) = 83.33
        pytest.param("buy", [(100, 100, 84, 84)], None, id="a long above its price of liquidation lives"),
        pytest.param("buy", [(100, 100, 83, 99)], 3000 / 36, id="a touch within the bar liquidates a long"),
        pytest.param("buy", [(80, 80, 80, 80)], 80.0, id="a gap liquidates at the open"),
        pytest.param("buy", [(60, 60, 60, 60)], 75.0, id="beyond the margin the loss is the exchange's"),
        # Short 40 at 100: cash 5000; 5000 / (40 * 1.1) = 113.64
        pytest.param("sell", [(100, 113, 100, 113)], None, id="a short below its price of liquidation lives"),
        pytest.param("sell", [(100, 114, 100, 100)], 5000 / 44, id="a touch within the bar liquidates a short"),
        pytest.param("sell", [(140, 140, 140, 140)], 125.0, id="a gap beyond the margin, short"),
    ],
)
def test_liquidation_takes_the_margin_and_ends_the_run(side, rows, liquidated_at):
    engine, steps = run_script(bars(FLAT, FLAT, *rows, FLAT), {0: ("market", side, 0, 40)}, MARGIN, leverage=4.0)
    if liquidated_at is None:
        assert len(steps.trades) == 1
        return
    last = steps.trades[-1]
    assert (last["type"], last["amount"]) == (LIQUIDATION, 40.0)
    assert last["price"] == pytest.approx(liquidated_at)
    assert engine.run["position"][0] == 0.0
    assert engine.run["cash"][0] == pytest.approx(0.0, abs=1e-9)
    assert engine.run["status"][0] == STOPPED
    assert steps.notes["code"].tolist() == [LIQUIDATED]


def test_a_stop_before_the_price_of_liquidation_saves_the_rest():
    engine, steps = run_script(
        bars(FLAT, FLAT, (100, 100, 70, 70)),
        {0: ("market", "buy", 0, 40), 1: ("stop", "sell", 90, 40)},
        MARGIN,
        leverage=4.0,
    )
    assert fills(steps)[-1] == ("sell", 90.0, 40.0)
    assert engine.run["cash"][0] == 600.0
    assert not engine.orders["type"].any()


def test_liquidation_is_on_tick_and_never_leaves_a_debt():
    terms = Terms(tick=0.5, lot=0.1, fee_step=1e-8, taker=0.001, margin=True, maintenance=0.005)
    engine, steps = run_script(bars(FLAT, FLAT, (50, 50, 50, 50)), {0: ("market", "buy", 0, 30)}, terms, leverage=4.0)
    assert steps.trades[-1]["price"] % 0.5 == 0.0
    assert 0.0 <= engine.run["cash"][0] < 1e-6


def test_longs_pay_a_positive_rate_and_shorts_receive_it():
    funding = Funding(np.array([START + MINUTE, START + 3 * MINUTE]), np.array([0.01, 0.001]))
    for side, sign in (("buy", 1), ("sell", -1)):
        engine, steps = run_script(bars(*[FLAT] * 5), {0: ("market", side, 0, 5)}, MARGIN, funding=funding)
        # The first one is due at the open at which the position begins: it is not there yet.
        assert steps.payments["fee"].tolist() == [sign * 0.5]
        assert steps.payments["time"].tolist() == [START + 3 * MINUTE]
        assert engine.run["funding"][0] == sign * 0.5
        assert steps.equity[-1] == 1000.0 - sign * 0.5
        assert len(steps.trades) == 1


def test_funding_of_a_gap_is_paid_at_the_next_open_and_never_twice():
    funding = Funding(START + MINUTE * np.arange(2, 5), np.array([0.01, 0.01, 0.01]))
    candles = bars(*[FLAT] * 6)
    late = type(candles).joined([candles[:2], candles[4:]])
    engine, steps = run_script(late, {0: ("market", "buy", 0, 5)}, MARGIN, funding=funding)
    assert steps.payments["fee"].tolist() == [pytest.approx(15.0)]
    assert engine.run["cash"][0] == pytest.approx(485.0)


def test_funding_moves_the_price_of_liquidation():
    funding = Funding(np.array([START + 2 * MINUTE]), np.array([0.05]))
    engine, _ = run_script(bars(*[FLAT] * 3), {0: ("market", "buy", 0, 40)}, MARGIN, leverage=4.0, funding=funding)
    assert engine.orders["price"][-1] == pytest.approx((3000 + 200) / 36)


@pytest.mark.parametrize("market_order", [False, True])
def test_behind_a_gap_the_exchange_is_first(market_order):
    """Long 50 at 100 with 1000, liquidated at 88.9: at 70 a stop, or a market order, would lose 1500 of them."""
    script = {0: ("market", "buy", 0, 50), 1: ("stop", "sell", 95, 50, 1)}
    if market_order:
        script[1] = ("limit", "sell", 150, 50, 1)
        script[2] = ("market", "sell", 0, 50, 2)
    rows = [FLAT, FLAT, FLAT, (70, 70, 70, 70)]
    engine, steps = run_script(bars(*rows), script, MARGIN, leverage=5.0)
    assert steps.trades["type"][-1] == LIQUIDATION
    assert engine.run["cash"][0] == 0.0
    assert (steps.equity >= 0.0).all()
