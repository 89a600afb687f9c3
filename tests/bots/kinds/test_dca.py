from __future__ import annotations

import numpy as np
import pytest

from bots.engine.types import LIMIT, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.dca.params import safety_orders
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play

KIND = KINDS["dca"]
# 100 at the base, safety orders of 100 and 200 quote at 10 % and 30 % below.
PARAMS = {
    "base_order": 100, "safety_order": 100, "max_safety_orders": 2, "step": 10, "step_scale": 2, "volume_scale": 2,
    "take_profit": 10,
}  # fmt: skip
FLAT = (100, 100, 100, 100)


def traded(*rows, terms=Terms(), **changed):  # noqa: B008
    engine, steps = play("dca", PARAMS | changed, bars(*rows), terms, 1000.0)
    told = [(KIND.tags[t["tag"]], round(float(t["price"]), 6), round(float(t["amount"]), 6)) for t in steps.trades]
    return engine, told


def resting(engine) -> list[tuple[float, float]]:
    wanted = engine.orders[engine.orders["type"] == LIMIT]
    return sorted((round(float(o["price"]), 6), round(float(o["side"] * o["amount"]), 6)) for o in wanted)


def test_steps_and_sizes_grow_as_users_know_them():
    """Price steps 1 %, then 2 %, then 4 %; sizes 100, 200, 400: the multiplier 2 of the field's help pages."""
    params = KIND.read(
        {"base_order": 1, "safety_order": 100, "max_safety_orders": 3, "step": 1} | {"step_scale": 2, "volume_scale": 2}
    )
    assert safety_orders(params) == pytest.approx(np.array([[0.01, 100], [0.03, 200], [0.07, 400]]))


def test_a_deal_begins_with_its_orders():
    engine, told = traded(FLAT)
    assert told == [("base order", 100.0, 1.0)]
    assert resting(engine) == [(70.0, round(200 / 70, 6)), (90.0, round(100 / 90, 6)), (110.0, -1.0)]


def test_a_safety_order_moves_the_profit_on_the_total():
    engine, told = traded(FLAT, (100, 100, 89, 89))
    assert told[1] == ("safety order", 90.0, round(100 / 90, 6))
    amount = 1 + 100 / 90
    assert resting(engine)[1] == (round(200 * 1.1 / amount, 6), round(-amount, 6))


def test_a_safety_order_moves_the_profit_on_the_base_order():
    engine, _ = traded(FLAT, (100, 100, 89, 89), take_profit_on="base")
    assert resting(engine)[1][0] == round((200 + 100 * 0.1) / (1 + 100 / 90), 6)


def test_fees_paid_are_earned_back_before_the_profit_counts():
    engine, _ = traded(FLAT, terms=Terms(taker=0.01))
    assert resting(engine)[-1][0] == pytest.approx(101 * 1.1, abs=1e-5)


def test_after_the_profit_the_next_deal_begins_at_once():
    engine, told = traded(FLAT, (100, 111, 100, 111))
    assert [tag for tag, _, _ in told] == ["base order", "take profit", "base order"]
    assert told[2][1] == 110.0
    assert resting(engine)[-1][0] == pytest.approx(121.0)


def test_only_so_many_safety_orders_rest_at_once():
    engine, _ = traded(FLAT, active_safety_orders=1)
    assert [price for price, _ in resting(engine)] == [90.0, 110.0]
    engine, _ = traded(FLAT, (100, 100, 89, 89), active_safety_orders=1)
    assert resting(engine)[0][0] == 70.0


def test_it_waits_out_its_cooldown():
    rows = [FLAT, (100, 111, 100, 111), *[(111, 111, 111, 111)] * 4]
    _, told = traded(*rows, cooldown=120)
    assert [tag for tag, _, _ in told] == ["base order", "take profit", "base order"]
    times = play("dca", PARAMS | {"cooldown": 120}, bars(*rows), Terms(), 1000.0)[1].trades["time"]
    assert (times[2] - times[1]) == 180_000, "two minutes have passed at the close of the second candle after it"


def test_a_trailing_profit_follows_the_high():
    _, told = traded(FLAT, (100, 120, 100, 120), (120, 120, 100, 100), trailing=5, max_deals=1)
    assert told[-1] == ("take profit", 114.0, 1.0)


def test_the_stop_loss_sells_the_whole_deal():
    engine, told = traded(FLAT, (100, 100, 60, 60), stop_loss=35, max_deals=1)
    assert told[-1] == ("stop loss", 65.0, round(1 + 100 / 90 + 200 / 70, 6))
    assert (engine.run["position"][0], engine.run["status"][0]) == (0.0, STOPPED)


def test_no_deal_begins_above_the_highest_price():
    assert traded(FLAT, (100, 101, 97, 98), max_price=96)[1] == []
    assert traded(FLAT, (100, 101, 95, 98), max_price=96)[1][0][:2] == ("base order", 96.0)


def test_custom_steps_take_the_place_of_the_safety_orders():
    custom = {"safety_order": None, "custom_steps": "5:50, 20:150"}
    engine, _ = traded(FLAT, **custom)
    assert resting(engine) == [(80.0, 1.875), (95.0, round(50 / 95, 6)), (110.0, -1.0)]
    engine, told = traded(FLAT, (100, 100, 94, 94), **custom, active_safety_orders=1)
    assert told[1] == ("safety order", 95.0, round(50 / 95, 6))
    assert resting(engine)[0] == (80.0, 1.875)


def test_no_deal_begins_below_the_lowest_price():
    assert traded(FLAT, (100, 104, 100, 104), min_price=105)[1] == []
    assert traded(FLAT, (100, 106, 100, 106), min_price=105)[1] == [("base order", 105.0, round(100 / 105, 6))]


def test_profits_are_reinvested_by_the_sizes_of_the_orders():
    """A profit of 10, half of it over a plan of 100 + 100 + 200: every order grows by 1.25 %."""
    engine, told = traded(FLAT, (100, 111, 100, 111), reinvest=50)
    assert told[2] == ("base order", 110.0, round(101.25 / 110, 6))
    assert resting(engine)[:2] == [(77.0, round(202.5 / 77, 6)), (99.0, round(101.25 / 99, 6))]


def test_a_loss_shrinks_nothing():
    rows = [FLAT, (100, 100, 60, 60), (60, 60, 60, 60)]
    _, told = traded(*rows, reinvest=100, stop_loss=35)
    assert told[-2:] == [
        ("stop loss", 65.0, round(1 + 100 / 90 + 200 / 70, 6)),
        ("base order", 65.0, round(100 / 65, 6)),
    ]


def test_what_is_reinvested_leaves_the_fees_of_the_whole_plan():
    """All the money is in the plan, and the profit is larger than what the plan may grow by with fees."""
    terms = Terms(maker=0.01, taker=0.01)
    engine, steps = play("dca", PARAMS | {"reinvest": 100}, bars(FLAT, (100, 112, 100, 112)), terms, 404.0)
    assert [KIND.tags[tag] for tag in steps.trades["tag"]] == ["base order", "take profit", "base order"]
    buys = engine.orders[(engine.orders["type"] == LIMIT) & (engine.orders["side"] > 0)]
    assert len(buys) == 2, "no order was refused"
    assert 1.01 * (buys["price"] * buys["amount"]).sum() == pytest.approx(engine.run["cash"][0])


def test_runs_from_before_steps_and_break_even_fit_in_as_many_slots():
    """Stored runs are restored into these slots: entry, exit, stop and the safety orders."""
    assert KIND.slots(KIND.read(PARAMS)) == 5
    assert KIND.slots(KIND.read(PARAMS | {"take_profit_steps": "1:50, 2:50", "break_even": 2})) == 7


@pytest.mark.parametrize(
    ("changed", "terms", "money", "problems"),
    [
        (
            {"max_safety_orders": 5},
            Terms(),
            1e6,
            {
                "max_safety_orders": "max_safety_orders: order 5 would lie 310 % below the base order, which must be "
                "under 100 %: lower the count, step or step_scale."
            },
        ),
        (
            {"stop_loss": 30},
            Terms(),
            1000,
            {"stop_loss": "stop_loss must be beyond the last safety order (30 %), not 30 %."},
        ),
        (
            {"take_profit": 0.1},
            Terms(taker=0.001),
            1000,
            {
                "take_profit": "take_profit must leave more than the fee of the sale 0.1 %, not 0.1 %: every deal "
                "would lose."
            },
        ),
        (
            {},
            Terms(taker=0.001),
            400,
            {
                "allocation": "allocation must be at least 400.4, what the base order and all safety orders take with "
                "fees, not 400."
            },
        ),
        (
            {"safety_order": 4},
            Terms(min_cost=5),
            1000,
            {"safety_order": "safety_order must be at least the market's minimum order 5, not 4."},
        ),
        (
            {"safety_order": None},
            Terms(),
            1000,
            {"safety_order": "safety_order is needed, or custom_steps, or 0 as max_safety_orders."},
        ),
        (
            {"min_price": 3, "max_price": 2},
            Terms(),
            1000,
            {"min_price": "min_price must be at most max_price (2), not 3."},
        ),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, terms, money, problems):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, terms, money)
    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("text", "money", "problems"),
    [
        ("1:100, 2:100", 299, {"allocation": "allocation must be at least 300, what the base order and all safety "
                               "orders take with fees, not 299."}),
        ("1:100, 2:4", 1000, {"custom_steps": "custom_steps must be at least the market's minimum order 5, not 4."}),
        ("1-100", 1000, {"custom_steps": "custom_steps must be pairs of deviation % and size such as 1:25, 2.5:75, not "
                         "'1-100'."}),
        ("1:nan", 1000, {"custom_steps": "custom_steps must be pairs of deviation % and size such as 1:25, 2.5:75, not "
                         "'1:nan'."}),
        ("2:100, 2:100", 1000, {"custom_steps": "custom_steps: each deviation must be above the one before, 2 %, not "
                                "2 %."}),
        ("100:50", 1000, {"custom_steps": "custom_steps: a deviation must be above 0 % and under 100 %, not 100 %."}),
        ("1:0", 1000, {"custom_steps": "custom_steps: a size must be above 0, not 0."}),
    ],
)  # fmt: skip
def test_custom_steps_that_do_not_fit_get_a_sentence(text, money, problems):
    with pytest.raises(ParamsError) as caught:
        KIND.validate({"base_order": 100, "custom_steps": text}, Terms(min_cost=5), money)
    assert caught.value.problems == problems


def test_safety_orders_are_given_in_one_way_alone():
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | {"custom_steps": "1:100"}, Terms(), 1000)
    assert caught.value.problems == {
        "custom_steps": "custom_steps take the place of safety_order: leave one of the two empty."
    }


def test_a_plan_that_takes_all_the_money_begins_between_two_ticks_too():
    """A trailing profit ends the first deal at 1.015 × 0.997 = 1.011955: the next one begins there, at 1.012."""
    terms = Terms(tick=0.0001, lot=0.001, taker=0.001, fee_step=1e-8)
    params = {"base_order": 999.0, "max_safety_orders": 0, "take_profit": 1, "trailing": 0.3, "reinvest": 100}
    rows = [(1, 1, 1, 1), (1, 1.015, 1, 1.01), (1.01, 1.01, 1.01, 1.01)]
    engine, steps = play("dca", params, bars(*rows), terms, 1000.0)
    assert [trade[0] for trade in fills(steps)] == ["buy", "sell", "buy"]
    assert 0 <= engine.run["cash"][0] < 1
