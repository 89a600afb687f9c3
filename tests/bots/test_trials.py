"""A bot tried before it is created: the engine's own answer, its bounds, its first orders, what it needs and earns."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots import prospects, records, runs, trials
from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import BEST, LIMIT, PATHS, WORST, Terms
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.records import terms_of
from markets.series import Candles
from tests.bots.conftest import GRID, bars

SPOT = Terms(tick=0.01, lot=0.0001, min_amount=0.0001, min_cost=5.0, maker=0.001, taker=0.001, fee_step=1e-8)
SWAP = replace(SPOT, margin=True, maintenance=0.005)
SWINGS = bars(*((100, 106, 94, 97), (97, 107, 93, 103), (103, 111, 96, 99), (99, 105, 89, 100)) * 40)


def settings(kind="grid", raw=None, limited=None, terms=SPOT, capital=1000.0, market=0):
    return trials.settings_of(KINDS[kind], GRID if raw is None else raw, limited or {}, terms, capital, (market, 60))


def test_what_is_tried_is_a_backtest(market):
    terms = terms_of(market)
    result = trials.tried(settings(terms=terms, market=market.pk), SWINGS)
    ends = {}
    for name, path in PATHS.items():
        backtest = runs.backtest("grid", GRID, market, 60, Decimal(1000), SWINGS, path)
        ends[name] = float(backtest.steps.equity[-1])
        if name == "expected":
            assert np.array_equal(result.steps.equity, backtest.steps.equity)
            assert np.array_equal(result.steps.trades, backtest.steps.trades)
    assert len(result.steps.trades) > 20
    assert (result.worst, result.best) == (min(ends.values()), max(ends.values()))
    assert result.worst < result.best
    assert result.metrics["total_return"] == pytest.approx(ends["expected"] / 1000 - 1)
    assert result.metrics["trades"] == len(result.steps.trades)
    assert {WORST, BEST} < set(PATHS.values())


def test_limits_hold_while_it_is_tried(market):
    free = trials.tried(settings(), SWINGS)
    bound = trials.tried(settings(limited={"max_open_orders": 1}), SWINGS)
    assert 0 < len(bound.steps.trades) < len(free.steps.trades)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_kind_says_how_it_begins_and_what_it_needs(kind):
    terms = SWAP if kind.margin else SPOT
    found = trials.opening(settings(kind.slug, dict(kind.example), terms=terms), 100.0)
    assert (found.orders["amount"] > 0).all()
    params = kind.read(kind.example)
    least = prospects.least_allocation(kind, params, terms)
    assert "allocation" not in kind.check(params, terms, least)
    assert "allocation" in kind.check(params, terms, least * 0.995)
    assert prospects.least_allocation(kind, params, terms, 100.0) >= least


STEPS = {"infinity_grid": {"grid_profit": 3.0, "window": 5}, "grid": {"lines": 9}, "futures_grid": {"lines": 9}}


@hypothesis.settings(max_examples=60)
@given(
    slug=st.sampled_from(list(STEPS)),
    price=st.sampled_from([0.02, 1.7, 64_000.0]),
    tick=st.sampled_from([1e-5, 1e-4, 1e-3]),
    lot=st.sampled_from([1e-3, 0.1, 1.0]),
    least=st.sampled_from([(0.0, 0.0), (5.0, 0.0), (0.0, 10.0)]),
    low=st.floats(0.6, 0.95),
    high=st.floats(1.05, 1.6),
)
def test_with_the_least_money_all_orders_down_to_the_lowest_price_are_placed(slug, price, tick, lot, least, low, high):
    """tick: over the price; lot: in quote; least: amount in lots, value in quote."""
    kind, (amount, value) = KINDS[slug], least
    tick, lot = (float(f"1e{round(math.log10(step))}") for step in (tick * price, lot / price))
    price, low, high = (round(one / tick) * tick for one in (price, price * low, price * high))
    terms = Terms(tick, lot, lot * amount, value, maker=0.001, taker=0.002, margin=kind.margin, maintenance=0.005)
    params = kind.read(STEPS[slug] | ({"lower": low} if slug == "infinity_grid" else {"lower": low, "upper": high}))
    money = prospects.least_allocation(kind, params, terms, price)
    engine = Engine.new(kind, params, terms, money)
    moves = [(0, price, price, price, price, 0.0), (60_000, price, price, low, low, 0.0)]
    moves += [(120_000, low, price, low, price, 0.0)]
    steps = step(engine, Candles.from_rows(moves))
    assert [note for note in steps.notes if note["code"] in records.ENGINE_NOTES] == []
    assert len(steps.trades) or len(engine.wanted())


def test_a_grid_begins_with_what_it_buys_at_once_and_an_order_a_grid():
    found = trials.opening(settings(), 101.0)
    assert found.trades["side"].tolist() == [1]
    assert found.orders["price"][found.orders["side"] < 0].tolist() == [110.0]
    assert sorted(found.orders["price"][found.orders["side"] > 0].tolist()) == [90.0, 95.0, 100.0]
    assert (found.orders["type"] == LIMIT).all()
    assert found.liquidation == (None, None)


def test_a_neutral_futures_grid_is_liquidated_beyond_both_ends():
    params = {"lower": 90.0, "upper": 110.0, "lines": 11, "leverage": 10.0}
    found = trials.opening(settings("futures_grid", params, terms=SWAP), 100.0)
    below, above = found.liquidation
    assert 0 < below < 100 < above
    tamer = trials.opening(settings("futures_grid", params | {"leverage": 2.0}, terms=SWAP), 100.0)
    assert tamer.liquidation[0] < below
    assert tamer.liquidation[1] > above


def test_a_cycle_costs_two_fees_and_earns_the_step_less_them():
    found = prospects.cycle(
        KINDS["grid"].read({"lower": 100.0, "upper": 121.0, "lines": 3, "spacing": "geometric"}), SPOT
    )
    assert found.fees == pytest.approx((0.0021, 0.0021))
    assert found.profit == pytest.approx((0.0979, 0.0979))
    assert prospects.cycle(KINDS["dca"].read(KINDS["dca"].example), SPOT).profit is None


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ParamsError) as caught:
        settings(raw=GRID | {"upper": 80.0})
    assert caught.value.problems == {"upper": "upper must be above lower (90), not 80."}
