from __future__ import annotations

import pytest

from bots.engine.types import NEVER, RUNNING, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.conditions import STOP_LOSS_HIT, STOP_LOSS_WAITS, TAKE_PROFIT_HIT, TAKE_PROFIT_WAITS, WITHDRAWN
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play

# One cell: buys 10 at 100, sells them at 110. The whole allocation is 1,000.
ONE = {"lower": 100.0, "upper": 110.0, "lines": 2}
START = (105, 105, 105, 105)
FALL = (105, 105, 97, 97)


def run_of(*rows, terms=Terms(), **changed):  # noqa: B008
    return play("grid", ONE | changed, bars(START, *rows), terms)


@pytest.mark.parametrize(
    ("rows", "changed", "sale"),
    [
        pytest.param([FALL, (97, 97, 80, 80)], {"stop_loss": 90}, 90.0, id="stop at a price"),
        pytest.param([FALL, (97, 97, 80, 80)], {"stop_loss": 100, "stop_loss_by": "amount"}, 90.0, id="a loss of 100"),
        pytest.param([FALL, (97, 97, 80, 80)], {"stop_loss": 12, "stop_loss_by": "ratio"}, 88.0, id="a loss of 12 %"),
        pytest.param([FALL, (97, 97, 89, 89)], {"stop_loss": 12, "stop_loss_by": "ratio"}, None, id="less than 12 %"),
        pytest.param(
            [FALL, (97, 109, 97, 109)], {"take_profit": 40, "take_profit_by": "amount"}, 104.0, id="a profit of 40"
        ),
        pytest.param(
            [FALL, (97, 109, 97, 109)], {"take_profit": 6, "take_profit_by": "ratio"}, 106.0, id="a profit of 6 %"
        ),
        pytest.param(
            [FALL, (97, 111, 97, 111), (111, 111, 99, 99), (99, 109, 99, 109)],
            {"take_profit": 150, "take_profit_by": "amount"},
            105.0,
            id="after a cycle of 100 it takes 50 more",
        ),
        pytest.param(
            [FALL, (97, 111, 97, 111), (111, 111, 75, 75)],
            {"stop_loss": 100, "stop_loss_by": "amount"},
            80.0,
            id="after a cycle of 100 it takes 200",
        ),
        pytest.param(
            [FALL, (85, 86, 84, 85)], {"stop_loss": 100, "stop_loss_by": "amount"}, 85.0, id="a gap through it"
        ),
    ],
)
def test_an_exit_sells_at_the_price_where_its_level_is_reached(rows, changed, sale):
    engine, steps = run_of(*rows, **changed)
    if sale is None:
        assert engine.run["status"][0] == RUNNING
        return
    assert fills(steps)[-1] == ("sell", pytest.approx(sale), 10.0)
    assert engine.run["status"][0] == STOPPED
    assert engine.run["position"][0] == 0.0


def test_a_loss_counts_the_fees_paid_so_far():
    """Bought 9.9 for 990 and 9.9 fee: from 1,000 a loss of 100 is left when the position is worth 899.9 − 0.1."""
    engine, steps = run_of(
        FALL, (97, 97, 80, 80), terms=Terms(maker=0.01, taker=0.01), stop_loss=100, stop_loss_by="amount"
    )
    amount = fills(steps)[0][2]
    cash = 1000.0 - amount * 100.0 * 1.01
    assert fills(steps)[-1][1] == pytest.approx((900.0 - cash) / amount)
    assert engine.run["cash"][0] == pytest.approx(900.0 - fills(steps)[-1][1] * amount * 0.01)


def test_a_level_by_amount_is_not_watched_while_nothing_is_held():
    engine, steps = run_of((105, 109, 101, 101), stop_loss=1, stop_loss_by="amount")
    assert not len(steps.trades)
    assert engine.orders["type"][3] == 0


def test_a_profit_is_taken_right_below_the_line_that_would_bring_more():
    """The cell would win 100 at 110; 99.999 are there at 109.9999."""
    _, steps = run_of(FALL, (97, 111, 97, 111), take_profit=99.999, take_profit_by="amount")
    assert fills(steps)[-1] == ("sell", pytest.approx(109.9999), 10.0)


UNDER, OVER = (89, 89, 88, 88), (92, 92, 92, 92)


@pytest.mark.parametrize(
    ("rows", "delay", "codes", "sales"),
    [
        pytest.param([(97, 97, 88, 92)], 60, [STOP_LOSS_WAITS, WITHDRAWN], [], id="a wick is withdrawn at its close"),
        pytest.param([(97, 97, 88, 88), UNDER], 60, [STOP_LOSS_WAITS, STOP_LOSS_HIT], [], id="due at a close"),
        pytest.param(
            [(97, 97, 88, 88), UNDER, (87, 95, 87, 95)],
            60,
            [STOP_LOSS_WAITS, STOP_LOSS_HIT],
            [87.0],
            id="sold at the next open",
        ),
        pytest.param(
            [(97, 97, 88, 88), OVER, UNDER, UNDER],
            60,
            [STOP_LOSS_WAITS, WITHDRAWN, STOP_LOSS_WAITS, STOP_LOSS_HIT],
            [],
            id="the clock starts anew",
        ),
        pytest.param(
            [(97, 97, 88, 88), UNDER, UNDER],
            180,
            [STOP_LOSS_WAITS],
            [],
            id="a longer delay takes more closes",
        ),
        pytest.param(
            [(97, 97, 88, 88), UNDER, UNDER, UNDER, (80, 80, 80, 80)],
            180,
            [STOP_LOSS_WAITS, STOP_LOSS_HIT],
            [80.0],
            id="and then ends",
        ),
        pytest.param(
            [(97, 97, 88, 88), (88, 95, 80, 89), UNDER],
            120,
            [STOP_LOSS_WAITS, STOP_LOSS_HIT],
            [],
            id="a price that is back within a candle is not seen",
        ),
    ],
)
def test_a_stop_with_a_delay_must_hold_at_every_close(rows, delay, codes, sales):
    engine, steps = run_of(FALL, *rows, stop_loss=90, stop_loss_delay=delay)
    told = [int(code) for code in steps.notes["code"]]
    assert [code for code in told if code in (STOP_LOSS_WAITS, WITHDRAWN, STOP_LOSS_HIT)] == codes
    assert [price for side, price, _ in fills(steps) if side == "sell"] == sales
    assert (engine.run["status"][0] == STOPPED) == (codes[-1] == STOP_LOSS_HIT)


def test_it_asks_for_bars_only_while_an_exit_waits():
    waiting, _ = run_of(FALL, (97, 97, 88, 88), stop_loss=90, stop_loss_delay=600)
    calm, _ = run_of(FALL, (97, 97, 88, 92), stop_loss=90, stop_loss_delay=600)
    ended, _ = run_of(FALL, (97, 97, 88, 88), UNDER, UNDER, stop_loss=90, stop_loss_delay=60)
    assert waiting.run["wake_time"][0] <= waiting.run["time"][0]
    assert calm.run["wake_time"][0] == ended.run["wake_time"][0] == NEVER


def test_after_the_delay_the_position_may_be_kept():
    """Without a sale there is nothing to wait for: it ends at the close."""
    engine, steps = run_of(FALL, (97, 97, 88, 88), UNDER, stop_loss=90, stop_loss_delay=60, sell_at_end=False)
    assert engine.run["status"][0] == STOPPED
    assert engine.run["position"][0] == 10.0
    assert not engine.orders["type"].any()
    assert int(steps.notes["code"][-1]) == STOP_LOSS_HIT


def test_a_take_profit_by_amount_is_judged_by_what_the_run_is_worth_at_the_close():
    """The cell sells at 110 while the exit waits: 100 won, flat, and the profit of 90 holds at any price."""
    rows = [FALL, (97, 109.5, 97, 109.5), (109.5, 111, 109.5, 111), (111, 112, 111, 111)]
    engine, steps = run_of(*rows, take_profit=90, take_profit_by="amount", take_profit_delay=60)
    told = [int(code) for code in steps.notes["code"] if code in (TAKE_PROFIT_WAITS, TAKE_PROFIT_HIT, WITHDRAWN)]
    assert told == [TAKE_PROFIT_WAITS, TAKE_PROFIT_HIT]
    assert fills(steps)[-1] == ("sell", 110.0, 10.0)
    assert engine.run["status"][0] == STOPPED


# Holds 10 at 100 with 400 in cash, buys 2.5 more at 80 and 3.125 at 64; sells 2 at 125.
INFINITY = {"lower": 60.0, "grid_profit": 25.0, "window": 2}


@pytest.mark.parametrize(
    ("row", "changed", "price", "amount"),
    [
        ((100, 100, 30, 30), {"stop_loss": 350, "stop_loss_by": "amount"}, (1050 - 200) / 12.5, 12.5),
        ((100, 100, 30, 30), {"stop_loss": 50, "stop_loss_by": "ratio"}, 700 / 15.625, 15.625),
        ((100, 120, 100, 120), {"take_profit": 10, "take_profit_by": "ratio"}, (1540 - 400) / 10, 10.0),
        ((100, 130, 100, 130), {"take_profit": 20, "take_profit_by": "ratio"}, (1680 - 650) / 8, 8.0),
    ],
)
def test_an_infinity_grid_has_the_same_exits(row, changed, price, amount):
    engine, steps = play("infinity_grid", INFINITY | changed, bars((100, 100, 100, 100), row), Terms(), 1400.0)
    assert fills(steps)[-1] == ("sell", pytest.approx(price), pytest.approx(amount))
    assert engine.run["status"][0] == STOPPED


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"stop_loss_delay": 60}, "stop_loss_delay", "stop_loss_delay needs a stop_loss."),
        ({"take_profit_delay": 60}, "take_profit_delay", "take_profit_delay needs a take_profit."),
        (
            {"stop_loss": 1000, "stop_loss_by": "amount"},
            "stop_loss",
            "stop_loss must be below the allocation (1000), not 1000.",
        ),
        ({"stop_loss": 120, "stop_loss_by": "ratio"}, "stop_loss", "stop_loss must be below 100 %, not 120."),
        (
            {"stop_loss": 5, "stop_loss_by": "loss"},
            "stop_loss_by",
            "stop_loss_by must be one of price, amount, ratio, not 'loss'.",
        ),
        (
            {"stop_loss": 5, "stop_loss_delay": -1},
            "stop_loss_delay",
            "stop_loss_delay must be at least 0 s, not -1.",
        ),
    ],
)
def test_exits_that_do_not_fit_get_a_sentence(changed, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KINDS["grid"].validate(ONE | changed, Terms(), 1000.0)
    assert caught.value.problems == {field: sentence}


def test_a_profit_may_be_any_and_a_loss_needs_no_price_below_the_range():
    params = KINDS["grid"].validate(
        ONE | {"stop_loss": 500, "stop_loss_by": "amount", "take_profit": 400, "take_profit_by": "ratio"},
        Terms(),
        1000.0,
    )
    assert (params.stop_loss, params.take_profit) == (500, 400)
