from __future__ import annotations

import numpy as np
import pytest

from bots.engine.types import RUNNING, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.accumulation import SPENT_HOLDS, TOO_CHEAP, TOO_DEAR
from bots.kinds.parameters import ParamsError
from markets.series import Candles
from tests.bots.conftest import MINUTE, START, bars, play

KIND = KINDS["accumulation"]
PARAMS = {"amount": 100, "interval": 60}
FLAT = (100, 100, 100, 100)


def traded(*rows, terms=Terms(), money=1000.0, **changed):  # noqa: B008
    """(engine, [(tag, bar, price, amount)])."""
    engine, steps = play("accumulation", PARAMS | changed, bars(*rows), terms, money)
    return engine, [
        (
            KIND.tags[t["tag"]],
            int(t["time"] - START) // MINUTE,
            round(float(t["price"]), 6),
            round(float(t["amount"]), 6),
        )
        for t in steps.trades
    ]


def told(*rows, **changed) -> list[int]:
    return play("accumulation", PARAMS | changed, bars(*rows))[1].notes["code"].tolist()


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        pytest.param(120, [1, 3, 5, 7], id="every second minute"),
        pytest.param(180, [1, 4, 7], id="every third"),
        pytest.param(90, [1, 3, 4, 6, 7], id="between candles: at the first one after, not later and later"),
        pytest.param(1, [1, 2, 3, 4, 5, 6, 7], id="less than a candle is a candle"),
        pytest.param(86_400, [1], id="once a day"),
    ],
)
def test_it_buys_at_the_open_after_each_interval(interval, expected):
    _, trades = traded(*[FLAT] * 8, interval=interval)
    assert trades == [("purchase", bar, 100.0, 1.0) for bar in expected]


def test_times_without_candles_are_not_made_up_for():
    minutes = [0, 1, 10, 11, 12, 13]
    candles = Candles.from_rows((START + minute * MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0) for minute in minutes)
    _, steps = play("accumulation", PARAMS | {"interval": 120}, candles)
    assert ((steps.trades["time"] - START) // MINUTE).tolist() == [1, 11, 13]


@pytest.mark.parametrize(
    ("changed", "sizes"),
    [
        pytest.param({"total": 250}, [100, 100, 50], id="a total"),
        pytest.param({"purchases": 2}, [100, 100], id="a count"),
        pytest.param({"total": 150, "purchases": 5}, [100, 50], id="whichever comes first"),
    ],
)
def test_it_ends_and_keeps_what_it_has_when_the_money_is_spent(changed, sizes):
    engine, trades = traded(*[FLAT] * 8, **changed)
    assert [100 * amount for _, _, _, amount in trades] == sizes
    assert (engine.run["status"][0], engine.run["position"][0]) == (STOPPED, sum(sizes) / 100)


def test_without_a_total_it_spends_the_allocation():
    engine, trades = traded(*[FLAT] * 8, terms=Terms(taker=0.01), money=250.0)
    assert [amount for *_, amount in trades] == [round(quote / 101, 6) for quote in (100, 100, 50)]
    assert (engine.run["status"][0], engine.run["cash"][0]) == (STOPPED, pytest.approx(0, abs=1e-9))


def test_what_rounding_to_lots_leaves_is_not_worth_a_purchase():
    engine, trades = traded(*[FLAT] * 8, terms=Terms(lot=0.3), money=200.0)
    assert [amount for *_, amount in trades] == [0.9, 0.9]
    engine, trades = traded(*[FLAT] * 8, terms=Terms(lot=0.001, taker=0.001), money=200.0)
    assert len(trades) == 2
    assert engine.run["status"][0] == STOPPED


def test_a_gap_changes_what_is_bought_not_what_is_spent():
    engine, trades = traded(FLAT, (125, 125, 125, 125), terms=Terms(slippage=0.0))
    assert trades == [("purchase", 1, 125.0, 0.8)]
    assert engine.run["cash"][0] == 900


def test_prices_out_of_the_limits_are_skipped_and_said_once():
    rows = [(p, p, p, p) for p in (100, 106, 106, 100, 94, 94, 100, 100)]
    _, trades = traded(*rows, min_price=95, max_price=105)
    assert [bar for _, bar, *_ in trades] == [1, 4, 7]
    assert told(*rows, min_price=95, max_price=105) == [TOO_DEAR, TOO_CHEAP]


def test_a_fall_multiplies_up_to_the_cap_and_a_price_above_the_average_resets():
    rows = [
        FLAT, (100, 100, 94, 94), (94, 94, 89, 89), (89, 89, 84, 84), (84, 84, 84, 84), (84, 100, 84, 100), FLAT,
    ]  # fmt: skip
    _, trades = traded(*rows, money=10_000.0, multiplier=2, fall=5, cap=4)
    assert [round(price * amount, 3) for _, _, price, amount in trades] == [100, 200, 400, 400, 400, 100]


def test_a_purchase_that_was_not_made_multiplies_nothing():
    """Twice due below the lowest price: one multiplication, not three."""
    rows = [FLAT, (100, 100, 94, 94), (94, 94, 94, 94), (94, 95, 94, 95), (95, 95, 95, 95)]
    _, trades = traded(*rows, multiplier=2, min_price=95)
    assert trades[1:] == [("purchase", 4, 95.0, round(200 / 95, 6))]


@pytest.mark.parametrize(
    ("after", "status", "bars_bought"), [("restart", RUNNING, [1, 2, 4, 5]), ("end", STOPPED, [1, 2])]
)
def test_the_take_profit_sells_everything_and_starts_over_or_ends(after, status, bars_bought):
    rows = [FLAT, FLAT, (100, 100, 100, 100), (100, 111, 100, 111), (111, 111, 111, 111), (111, 111, 111, 111)]
    engine, trades = traded(*rows, purchases=2, take_profit=10, after_take_profit=after)
    assert ("take profit", 3, 110.0, 2.0) in trades
    assert [bar for tag, bar, *_ in trades if tag == "purchase"] == bars_bought
    assert engine.run["status"][0] == status


def test_the_profit_counts_on_what_was_paid_with_fees():
    engine, _ = traded(FLAT, FLAT, terms=Terms(taker=0.01), take_profit=10)
    assert engine.orders["price"][1] == pytest.approx(101 * 1.1), "100 quote bought 100 / 101 base"


def test_with_an_exit_it_waits_for_it_when_the_money_is_spent():
    rows = [FLAT] * 4
    engine, trades = traded(*rows, purchases=1, take_profit=10)
    assert (len(trades), engine.run["status"][0]) == (1, RUNNING)
    assert told(*rows, purchases=1, take_profit=10) == [SPENT_HOLDS]


def test_the_stop_loss_sells_everything_below_the_average_and_ends():
    rows = [FLAT, (100, 100, 98, 98), (98, 98, 80, 80)]
    engine, trades = traded(*rows, stop_loss=10)
    amount = 1 + 100 / 98
    assert trades[-1] == ("stop loss", 2, round(200 / amount * 0.9, 6), round(amount, 6))
    assert (engine.run["status"][0], engine.run["position"][0]) == (STOPPED, 0.0)


@pytest.mark.parametrize(
    ("changed", "money", "field", "sentence"),
    [
        (
            {"amount": 5},
            1000,
            "amount",
            "amount must be at least the market's minimum order with its fee, 5.005, not 5.",
        ),
        ({}, 99, "allocation", "allocation must be at least 100, what one purchase takes, not 99."),
        ({"total": 1001}, 1000, "allocation", "allocation must be at least 1001, what the total takes, not 1000."),
        (
            {"purchases": 11},
            1000,
            "allocation",
            "allocation must be at least 1100, what 11 purchases take, not 1000.",
        ),
        (
            {"purchases": 4, "multiplier": 2, "cap": 3},
            899,
            "allocation",
            "allocation must be at least 900, what 4 purchases in a steady fall take, not 899.",
        ),
        ({"total": 50}, 1000, "total", "total must be at least amount (100), not 50."),
        ({"min_price": 3, "max_price": 2}, 1000, "min_price", "min_price must be at most max_price (2), not 3."),
        (
            {"take_profit": 0.1},
            1000,
            "take_profit",
            "take_profit must be above the fee of the sale 0.1 %, not 0.1 %: every round would lose.",
        ),
        (
            {"stop_loss": 96},
            1000,
            "stop_loss",
            "stop_loss must leave a purchase worth the market's minimum order 5, not 3.996: it could not be sold.",
        ),
        ({"interval": 0}, 1000, "interval", "interval must be at least 1 s, not 0."),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, money, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, Terms(taker=0.001, min_cost=5), money)
    assert caught.value.problems == {field: sentence}


def test_a_plan_of_a_million_growing_purchases_is_summed_without_overflow():
    params = PARAMS | {"purchases": 1_000_000, "multiplier": 10, "cap": 2}
    with np.errstate(all="raise"), pytest.raises(ParamsError, match="at least 199999900, what"):
        KIND.validate(params, Terms(), 1000)
