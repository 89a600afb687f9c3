"""How DCA deals end: take-profit steps, trailing, the stop with its timeout, break-even."""

from __future__ import annotations

import pytest

from bots.engine.types import ALARM, LIMIT, NEVER, RUNNING, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.dca.layout import STOP_SLOT
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, play

KIND = KINDS["dca"]
# 100 at the base, safety orders of 100 and 200 quote at 10 % and 30 % below.
PARAMS = {
    "base_order": 100, "safety_order": 100, "max_safety_orders": 2, "step": 10, "step_scale": 2, "volume_scale": 2,
    "take_profit": 10, "max_deals": 1,
}  # fmt: skip
STEPS = {"take_profit_steps": "10:50, 20:50"}
FLAT = (100, 100, 100, 100)
ALL = round(1 + 100 / 90 + 200 / 70, 6)


def traded(*rows, terms=Terms(), **changed):  # noqa: B008
    """(engine, [(tag, price, amount)] of the trades after the base order)."""
    engine, steps = play("dca", PARAMS | changed, bars(FLAT, *rows), terms, 1000.0)
    told = [(KIND.tags[t["tag"]], round(float(t["price"]), 6), round(float(t["amount"]), 6)) for t in steps.trades]
    assert told[0][0] == "base order"
    return engine, told[1:]


def sells(engine) -> list[tuple[float, float]]:
    wanted = engine.orders[(engine.orders["type"] == LIMIT) & (engine.orders["side"] < 0)]
    return sorted((round(float(o["price"]), 6), round(float(o["amount"]), 6)) for o in wanted)


@pytest.mark.parametrize(
    ("rows", "changed", "expected"),
    [
        pytest.param([(100, 111, 100, 111)], STEPS, [("take profit", 110, 0.5)], id="the first step sells its part"),
        pytest.param(
            [(100, 111, 100, 111), (111, 121, 111, 121)],
            STEPS,
            [("take profit", 110, 0.5), ("take profit", 120, 0.5)],
            id="the last one sells the rest",
        ),
        pytest.param(
            [(130, 130, 130, 130)],
            STEPS,
            [("take profit", 130, 0.5), ("take profit", 130, 0.5)],
            id="a gap takes both at the open",
        ),
        pytest.param(
            [(100, 130, 100, 130), (130, 130, 120, 120)],
            STEPS | {"trailing": 5},
            [("take profit", 110, 0.5), ("take profit", 123.5, 0.5)],
            id="only the last step follows the high",
        ),
        pytest.param(
            [(100, 111, 100, 111), (111, 111, 99, 99)],
            STEPS | {"break_even_step": 1},
            [("take profit", 110, 0.5), ("break-even", 100, 0.5)],
            id="after a step the stop is at break-even",
        ),
        pytest.param(
            [(100, 106, 100, 104), (104, 104, 99, 99)],
            {"break_even": 5},
            [("break-even", 100, 1)],
            id="after a profit the stop is at break-even",
        ),
        pytest.param(
            [(100, 104, 100, 104), (104, 104, 99, 99)], {"break_even": 5}, [], id="with less profit there is no stop"
        ),
        pytest.param(
            [(100, 112, 100, 112), (112, 112, 104, 104)],
            {"trailing": 5},
            [("take profit", 106.4, 1)],
            id="a turn right behind the target leaves less than the target",
        ),
        pytest.param(
            [(100, 112, 100, 112), (112, 112, 104, 104)],
            {"trailing": 5, "min_profit": 8},
            [],
            id="but not less than the minimum profit",
        ),
        pytest.param(
            [(100, 115, 100, 115), (115, 115, 104, 104)],
            {"trailing": 5, "min_profit": 8},
            [("take profit", 109.25, 1)],
            id="which a higher high leaves",
        ),
    ],
)
def test_it_sells_at_its_targets_and_stops(rows, changed, expected):
    assert traded(*rows, **changed)[1] == expected


def test_steps_share_the_position_and_safety_fills_move_them():
    engine, _ = traded(**STEPS)
    assert sells(engine) == [(110.0, 0.5), (120.0, 0.5)]
    engine, _ = traded((100, 100, 89, 89), **STEPS)
    amount = 1 + 100 / 90
    assert sells(engine) == [(round(200 * up / amount, 6), round(amount / 2, 6)) for up in (1.1, 1.2)]


def test_a_safety_fill_after_a_step_leaves_the_steps_that_are_left():
    engine, told = traded((100, 110, 100, 110), (110, 110, 89, 89), **STEPS)
    assert [tag for tag, _, _ in told] == ["take profit", "safety order"]
    amount = 0.5 + 100 / 90
    assert sells(engine) == [(round(150 * 1.2 / amount, 6), round(amount, 6))]


@pytest.mark.parametrize("counts_on", ["total", "base"])
def test_after_a_step_the_next_target_stays_where_it_was(counts_on):
    """What is left carries its share of cost and fees: a later safety fill finds the profit of the whole deal."""
    terms, changed = Terms(maker=0.01, taker=0.01), STEPS | {"take_profit_on": counts_on}
    _, told = traded((100, 115, 100, 115), (115, 130, 115, 130), terms=terms, **changed)
    before = [price for _, price, _ in told]
    engine, _ = traded((100, 115, 100, 115), (115, 115, 89, 89), terms=terms, **changed)
    counts = 100 if counts_on == "base" else 101
    assert before == [101 + 0.1 * counts, 101 + 0.2 * counts]
    # Half the base order with half its fee, and the safety order.
    cost = 0.5 * 101 + 101
    counts = 50 if counts_on == "base" else cost
    assert sells(engine)[0][0] == pytest.approx((cost + 0.2 * counts) / (0.5 + 100 / 90), abs=1e-6)


def test_a_part_too_small_for_the_market_goes_to_the_last_step():
    terms = Terms(lot=0.001, min_cost=40)
    engine, _ = traded(terms=terms, take_profit_steps="10:25, 20:75")
    assert sells(engine) == [(120.0, 1.0)]
    engine, _ = traded(terms=terms, take_profit_steps="10:75, 20:25")
    assert sells(engine) == [(120.0, 1.0)], "nor may too little be left"


def test_break_even_has_earned_both_fees():
    terms = Terms(tick=0.01, maker=0.01, taker=0.01)
    engine, told = traded((100, 107, 100, 104), (104, 104, 101, 101), terms=terms, break_even=5)
    # (100 + 1) / 0.99, up to the tick.
    assert told == [("break-even", 102.03, 1.0)]
    assert 0 <= engine.run["cash"][0] - 1000 < 0.01


def test_a_stop_with_a_timeout_sells_after_so_long_beyond_it():
    """Touched in the first candle and closed beyond it: two minutes later it is the third close in a row."""
    beyond = [(100, 100, 60, 60), (60, 64, 60, 64), (64, 64, 60, 60)]
    timed = {"stop_loss": 35, "stop_loss_timeout": 120}
    engine, told = traded(*beyond, **timed)
    assert [tag for tag, _, _ in told] == ["safety order", "safety order"]
    engine, told = traded(*beyond, (61, 62, 59, 62), **timed)
    assert told[-1] == ("stop loss", 61.0, ALL), "at the next open"
    assert (engine.run["status"][0], engine.run["wake_time"][0]) == (STOPPED, NEVER)


def test_a_close_above_the_stop_forgets_that_it_was_touched():
    rows = [
        (100, 100, 60, 66),
        (66, 66, 60, 60),
        (60, 64, 60, 64),
        (64, 66, 60, 66),
        (66, 66, 60, 60),
        (60, 64, 60, 64),
    ]
    engine, told = traded(*rows, stop_loss=35, stop_loss_timeout=120)
    assert [tag for tag, _, _ in told] == ["safety order", "safety order"]
    engine, _ = traded(*rows[:1], stop_loss=35, stop_loss_timeout=120)
    stop = engine.orders[STOP_SLOT]
    assert (stop["type"], stop["price"], engine.run["wake_time"][0]) == (ALARM, 65.0, NEVER)


def test_a_profit_taken_while_the_timeout_runs_ends_the_deal_and_the_timeout():
    rows = [(100, 100, 60, 60), (60, 90, 60, 90), *[(90, 90, 90, 90)] * 4]
    engine, told = traded(*rows, stop_loss=35, stop_loss_timeout=60, max_deals=0)
    assert [tag for tag, _, _ in told] == ["safety order", "safety order", "take profit", "base order"]
    assert (engine.run["wake_time"][0], engine.orders[STOP_SLOT]["type"]) == (NEVER, ALARM)


@pytest.mark.parametrize(("action", "status"), [("close", RUNNING), ("end", STOPPED)])
def test_after_a_stop_loss_it_goes_on_or_ends(action, status):
    engine, told = traded((100, 100, 60, 60), stop_loss=35, stop_loss_action=action, max_deals=0)
    assert told[2] == ("stop loss", 65.0, ALL)
    assert (engine.run["status"][0], len(told)) == (status, 4 if action == "close" else 3)


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        (
            {"take_profit_steps": "1:50"},
            "take_profit_steps",
            "take_profit_steps: the parts must add up to 100 %, not 50 %.",
        ),
        (
            {"take_profit_steps": "3:50, 2:50"},
            "take_profit_steps",
            "take_profit_steps: each target must be above the one before, 3 %, not 2 %.",
        ),
        (
            {"take_profit_steps": "1 50"},
            "take_profit_steps",
            "take_profit_steps must be pairs of target % and part % such as 1:25, 2.5:75, not '1 50'.",
        ),
        (
            {"take_profit_steps": "1:20,2:20,3:20,4:20,5:20"},
            "take_profit_steps",
            "take_profit_steps must be at most 4, not 5.",
        ),
        (
            {"take_profit_steps": "1:-10,2:110"},
            "take_profit_steps",
            "take_profit_steps: targets and parts must be above 0 %, not -10 %.",
        ),
        (
            {"take_profit_steps": "0.1:50, 2:50"},
            "take_profit_steps",
            "take_profit_steps must leave more than the fee of the sale 0.1 %, not 0.1 %: every deal would lose.",
        ),
        (
            {"take_profit_steps": "1:4, 2:96"},
            "take_profit_steps",
            "take_profit_steps must be at least the market's minimum order 5, not 4, the smallest part of the base "
            "order.",
        ),
        (
            STEPS | {"break_even_step": 2},
            "break_even_step",
            "break_even_step must be below the number of take-profit steps (2), not 2.",
        ),
        ({"break_even": 0.1}, "break_even", "break_even must be above what the sale costs (0.1 %), not 0.1 %."),
        (
            {"min_profit": 1},
            "min_profit",
            "min_profit needs trailing, not 1 % without: else the target is what the sale brings.",
        ),
        (
            {"stop_loss_timeout": 60},
            "stop_loss_timeout",
            "stop_loss_timeout needs a stop_loss, break_even or break_even_step, not 60 s without any.",
        ),
        (
            {"stop_loss": 96},
            "stop_loss",
            "stop_loss must leave the base order worth the market's minimum order 5, not 4: it could not be sold.",
        ),
    ],
)
def test_exits_that_do_not_fit_get_a_sentence(changed, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, Terms(taker=0.001, min_cost=5), 1000)
    assert caught.value.problems == {field: sentence}
