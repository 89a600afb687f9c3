from __future__ import annotations

import pytest

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import ALARM, HELD_DAILY_LOSS, LIMIT, STOPPED, Limits, Terms
from bots.kinds import KINDS
from bots.kinds.grid.layout import CAME_BACK, LEFT_ABOVE, LEFT_BELOW, LOW, MOVED_DOWN, MOVED_UP, RISE, STAYS
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import START as FIRST
from tests.bots.conftest import bars, fills, play

# Lines at 100, 110, 120; 1,100 quote in each of the two cells.
UP = {"lower": 100.0, "upper": 120.0, "lines": 3, "size": "quote", "trailing_up": True}
# The same lines and money for two more, 90 and 80: from 105 on 105 + 100 + 90 + 80 quote for one base in every cell.
DOWN = {"lower": 100.0, "upper": 120.0, "lines": 3, "trailing_down": True, "trailing_down_stop": 80.0}
START = (105, 105, 105, 105)


def up(*rows, **changed):
    return play("grid", UP | changed, bars(START, *rows), Terms(), 2200.0)


def down(*rows, terms=Terms(), **changed):  # noqa: B008
    return play("grid", DOWN | changed, bars(START, *rows), terms, 3750.0)


def resting(engine) -> list[tuple[int, float, float]]:
    wanted = sorted(engine.orders[engine.orders["type"] == LIMIT], key=lambda order: order["price"])
    return [(int(o["side"]), round(float(o["price"]), 6), round(float(o["amount"]), 6)) for o in wanted]


def codes(steps) -> list[int]:
    return [int(code) for code in steps.notes["code"]][1:]


@pytest.mark.parametrize(
    ("rows", "changed", "expected"),
    [
        pytest.param([], {}, [(1, 100, 11), (-1, 120, 10)], id="before"),
        pytest.param([(105, 129, 105, 129)], {}, [(1, 100, 11), (1, 110, 10)], id="above the top the top line waits"),
        pytest.param([(105, 130, 105, 130)], {}, [(1, 110, 10), (1, 120, 9.166667)], id="a step more: it is a buy"),
        pytest.param([(105, 151, 105, 151)], {}, [(1, 130, 8.461538), (1, 140, 7.857143)], id="three steps in a bar"),
        pytest.param([(151, 151, 151, 151)], {}, [(1, 130, 8.461538), (1, 140, 7.857143)], id="three steps in a gap"),
        pytest.param(
            [(105, 131, 105, 131), (131, 131, 119, 119)], {}, [(1, 110, 10), (-1, 130, 9.166667)], id="it buys there"
        ),
        pytest.param(
            [(105, 151, 105, 151)], {"trailing_up_limit": 135}, [(1, 110, 10), (1, 120, 9.166667)], id="up to its limit"
        ),
        pytest.param([(105, 151, 105, 151)], {"active_buys": 1}, [(1, 140, 7.857143)], id="with one buy at a time"),
        pytest.param(
            [(105, 151, 105, 151)],
            {"spacing": "geometric", "upper": 121.0},
            [(1, 121, round(1100 / 121, 6)), (1, 133.1, round(1100 / 133.1, 6))],
            id="geometric lines go on by percent",
        ),
    ],
)
def test_trailing_up_moves_the_lowest_buy_to_the_old_top(rows, changed, expected):
    engine, _ = up(*rows, **changed)
    assert resting(engine) == expected


def test_trailing_up_never_buys_at_market():
    _, steps = up((105, 151, 105, 151))
    assert fills(steps) == [("buy", 105.0, 10.0), ("sell", 120.0, 10.0)]
    assert codes(steps) == [MOVED_UP] * 3


def test_with_a_limit_it_says_when_it_is_left_behind():
    _, steps = up((105, 151, 105, 151), trailing_up_limit=135)
    assert codes(steps) == [MOVED_UP, LEFT_ABOVE]


def test_equal_steps_trail_no_higher_than_they_pay_their_fees():
    """A step of 10 pays two fees of 2 % while 10 > 0.02 (2 p + 10): below p = 245, a top line of 255."""
    engine, _ = play("grid", UP, bars(START, (105, 400, 105, 400)), Terms(maker=0.02, taker=0.02), 2200.0)
    assert [price for _, price, _ in resting(engine)] == [230.0, 240.0]


def test_it_stays_where_a_market_would_not_take_the_order():
    """1,100 buy less than 9 above 122.2, so the second step up does not happen."""
    engine, steps = play("grid", UP, bars(START, (105, 151, 105, 151)), Terms(min_amount=9.0), 2200.0)
    assert codes(steps) == [MOVED_UP, STAYS]
    assert [price for _, price, _ in resting(engine)] == [110.0, 120.0]
    assert "below the market's minimum" in KINDS["grid"].notes[STAYS]


def test_reinvested_money_moves_up_whole():
    """The lowest buy of 11 at 100 frees 1,100; the sale at 120 left the other cell with 1,200 for 110."""
    engine, _ = up((105, 130, 105, 130), reinvest=True)
    assert resting(engine) == [(1, 110, round(1200 / 110, 6)), (1, 120, round(1100 / 120, 6))]
    assert (engine.orders["price"] * engine.orders["amount"])[:2].sum() == pytest.approx(engine.run["cash"][0] - 50)


@pytest.mark.parametrize(
    ("changed", "stops"),
    [
        pytest.param({"stop_loss": 95}, 95 + 4 * 10, id="by the step in price"),
        pytest.param(
            {"stop_loss": 90, "spacing": "geometric", "upper": 121.0}, 90 * 1.1**3, id="by the percent of a step"
        ),
    ],
)
def test_a_stop_loss_by_price_rises_with_the_grid(changed, stops):
    engine, steps = up((105, 162, 105, 162), (162, 162, 110, 110), **changed)
    assert fills(steps)[-1][:2] == ("sell", pytest.approx(stops))
    assert engine.run["status"][0] == STOPPED


def test_a_stop_loss_by_ratio_does_not_move():
    engine, _ = up((105, 161, 105, 161), stop_loss=50, stop_loss_by="ratio")
    assert not (engine.orders["type"][4:6] == ALARM).any()


@pytest.mark.parametrize(
    ("rows", "expected", "cash"),
    [
        pytest.param([], [(1, 100, 10), (-1, 120, 10)], 2700, id="before"),
        pytest.param([(105, 105, 91, 91)], [(-1, 110, 10), (-1, 120, 10)], 1700, id="below the bottom it waits"),
        pytest.param(
            [(105, 105, 89, 89)], [(-1, p, 10) for p in (100, 110, 120)], 800, id="a step more: one is bought"
        ),
        pytest.param([(105, 105, 40, 40)], [(-1, p, 10) for p in (90, 100, 110, 120)], 0, id="down to the stop"),
        pytest.param(
            [(50, 50, 50, 50)], [(-1, p, 10) for p in (90, 100, 110, 120)], 3750 - 1050 - 3 * 500, id="in a gap"
        ),
        pytest.param(
            [(105, 105, 89, 89), (89, 101, 89, 101)], [(1, 90, 10), (-1, 110, 10), (-1, 120, 10)], 1800, id="it goes on"
        ),
        pytest.param(
            [(105, 105, 89, 89), (89, 101, 89, 101), (101, 101, 85, 85)],
            [(-1, p, 10) for p in (100, 110, 120)],
            900,
            id="a line that was added stays",
        ),
    ],
)
def test_trailing_down_buys_a_cell_and_sells_it_a_line_up(rows, expected, cash):
    engine, _ = down(*rows)
    assert resting(engine) == expected
    assert engine.run["cash"][0] == pytest.approx(cash)


def test_trailing_down_buys_at_market_and_says_so():
    _, steps = down((105, 105, 40, 40), terms=Terms(slippage=0.001, tick=0.01))
    added = steps.trades[-2:]
    assert [float(trade["price"]) for trade in added] == [90.09, 80.08]
    assert {KINDS["grid"].tags[trade["tag"]] for trade in added} == {"trailing down"}
    assert codes(steps) == [MOVED_DOWN, MOVED_DOWN, LEFT_BELOW]


def test_a_stop_loss_does_not_follow_the_price_down():
    engine, steps = down((105, 105, 40, 40), stop_loss=70)
    assert fills(steps)[-1] == ("sell", 70.0, pytest.approx(40.0))
    assert engine.run["status"][0] == STOPPED


DAY = 86_400_000


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(95, 95, 85, 85)], [LEFT_BELOW], id="held"),
        pytest.param([(95, 95, 85, 85), (85, 100, 85, 100)], [LEFT_BELOW, CAME_BACK], id="and back"),
    ],
)
def test_it_does_not_trail_down_while_a_limit_holds_its_buys(rows, expected):
    """50 lost on the cell from 100 and 100 on the other: a daily loss of 120 is reached at the close at 95."""
    kind = KINDS["grid"]
    engine = Engine.new(kind, kind.read(DOWN), Terms(), 3750.0, limits=Limits(max_daily_loss=120))
    steps = step(engine, bars(START, (105, 105, 95, 95), *rows))
    told = [int(code) for code in steps.notes["code"]]
    assert HELD_DAILY_LOSS in told
    assert [code for code in told if code in (LEFT_BELOW, CAME_BACK, MOVED_DOWN)] == expected
    assert [price for _, price, _ in fills(steps)] == [105.0, 100.0]
    later = step(engine, bars(*[(102, 102, 102, 102), (102, 102, 89, 89)], start=FIRST + DAY))
    assert fills(later)[-1] == ("buy", 90.0, 10.0)


def test_a_grid_may_trail_both_ways_and_never_has_more_lines_than_it_can_pay():
    both = UP | DOWN | {"size": "quote"}
    rows = [(105, 105, 60, 60), (60, 161, 60, 161), (161, 161, 60, 60)]
    engine, steps = play("grid", both, bars(START, *rows), Terms(maker=0.001, taker=0.001), 4400.0)
    low, rise = engine.run["memory"][0][[LOW, RISE]]
    assert (low, 2 + rise) == (2.0, 6.0)  # four cells from 120 to 160: the two that were added came along
    assert {int(code) for code in steps.notes["code"]} <= set(KINDS["grid"].notes), "nothing was refused"


@pytest.mark.parametrize(
    ("params", "changed", "terms", "field", "sentence"),
    [
        (
            UP,
            {"size": "base"},
            Terms(),
            "trailing_up",
            "trailing_up needs size quote: an equal amount of base costs more at every line up, and nothing is put "
            "aside for that.",
        ),
        (
            UP,
            {"trailing_up_limit": 125},
            Terms(),
            "trailing_up_limit",
            "trailing_up_limit must be at least 130, a line above upper, not 125.",
        ),
        (
            UP,
            {"trailing_up_limit": 300},
            Terms(maker=0.02),
            "trailing_up_limit",
            "trailing_up_limit must be at most 255, not 300: above that a step is below twice the fee 2 %.",
        ),
        (
            UP,
            {"trailing_up": False, "trailing_up_limit": 130},
            Terms(),
            "trailing_up_limit",
            "trailing_up_limit needs trailing_up.",
        ),
        (
            UP,
            {"trailing_up_limit": 150, "take_profit": 140},
            Terms(),
            "take_profit",
            "take_profit must be above trailing_up_limit (150), not 140.",
        ),
        (
            DOWN,
            {"trailing_down_stop": None},
            Terms(),
            "trailing_down_stop",
            "trailing_down_stop is needed with trailing_down: money is put aside for every line down to it.",
        ),
        (
            DOWN,
            {"trailing_down_stop": 95},
            Terms(),
            "trailing_down_stop",
            "trailing_down_stop must be at most 90, a line below lower, not 95.",
        ),
        (
            DOWN,
            {"trailing_down": False},
            Terms(),
            "trailing_down_stop",
            "trailing_down_stop needs trailing_down.",
        ),
        (
            DOWN,
            {"stop_loss": 85},
            Terms(),
            "stop_loss",
            "stop_loss must be below trailing_down_stop (80), not 85.",
        ),
        (
            DOWN,
            {"lines": 801},
            Terms(),
            "trailing_down_stop",
            "trailing_down_stop must leave at most 999 grids, not 1600.",
        ),
        (
            DOWN,
            {},
            Terms(maker=0.01, taker=0.045),
            "lines",
            "lines: a step of 9.09 % is below twice the fee 4.5 %: every cycle would lose; 3 lines are too many for "
            "this range.",
        ),
        (
            DOWN,
            {},
            Terms(min_cost=1000),
            "allocation",
            "allocation must be about 4750 for 4 grids that reach the market's minimum order (amount 0, value 1000), "
            "not 3750.",
        ),
    ],
)
def test_trailing_that_cannot_be_paid_for_gets_a_sentence(params, changed, terms, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KINDS["grid"].validate(params | changed, terms, 3750.0)
    assert caught.value.problems == {field: sentence}
