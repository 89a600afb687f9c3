from __future__ import annotations

import pytest

from bots.engine.types import STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.grid import CAME_BACK, LEFT_ABOVE, LEFT_BELOW, STARTED, STOP_LOSS_HIT, WAITING, lines_of
from bots.kinds.parameters import ParamsError
from bots.management.commands._walk import random_walk
from tests.bots.conftest import GRID, bars, fills, play

KIND = KINDS["grid"]


def notes(steps) -> list[int]:
    return [int(code) for code in steps.notes["code"]]


def test_lines_count_both_ends():
    lines = lines_of(KIND.read({"lower": 100, "upper": 200, "lines": 3}), 0.0)
    assert lines.tolist() == [100.0, 150.0, 200.0]


def test_geometric_lines_have_one_ratio():
    lines = lines_of(KIND.read({"lower": 100, "upper": 400, "lines": 3, "spacing": "geometric"}), 0.01)
    assert lines.tolist() == [100.0, 200.0, 400.0]


def test_the_line_right_above_the_price_has_no_order():
    engine, _ = play("grid", GRID, bars((101, 101, 101, 101)))
    wanted = engine.orders[engine.orders["type"] == 1]
    assert [(int(o["side"]), float(o["price"])) for o in wanted] == [(1, 90.0), (1, 95.0), (1, 100.0), (-1, 110.0)]


def test_all_cells_start_bought_below_the_range_and_waiting_above_it():
    below, _ = play("grid", GRID, bars((80, 80, 80, 80)))
    above, _ = play("grid", GRID, bars((120, 120, 120, 120)))
    assert (below.orders["side"][:4] == -1).all()
    assert (above.orders["side"][:4] == 1).all()
    assert above.run["fills"][0] == 0


def test_equal_quote_orders_have_the_same_value():
    engine, _ = play("grid", GRID | {"size": "quote"}, bars((120, 120, 120, 120)))
    assert (engine.orders["price"][:4] * engine.orders["amount"][:4]) == pytest.approx([250.0] * 4)


def test_it_waits_for_its_trigger_from_either_side():
    for price, path in ((100.0, (100, 100, 97, 97)), (94.0, (94, 97, 94, 97))):
        _engine, steps = play("grid", GRID | {"trigger_price": 97.0}, bars((price,) * 4, path))
        assert notes(steps) == [WAITING, STARTED]
        assert fills(steps)[0][1] == 97.0


def test_stop_loss_sells_everything_and_ends():
    engine, steps = play(
        "grid", GRID | {"stop_loss": 85.0}, bars((100, 100, 84, 86), (86, 120, 80, 100)), Terms(slippage=0.01)
    )
    last = steps.trades[-1]
    assert (KIND.tags[last["tag"]], float(last["price"])) == ("close", pytest.approx(85.0 * 0.99))
    assert engine.run["status"][0] == STOPPED
    assert engine.run["position"][0] == 0.0
    assert STOP_LOSS_HIT in notes(steps)
    assert (last["time"] == steps.trades["time"]).all(), "nothing trades after the end"


def test_take_profit_may_keep_the_position():
    """Above the range a grid holds nothing, so the last cells sell first and there is nothing left to keep."""
    engine, _ = play("grid", GRID | {"take_profit": 115.0, "sell_at_end": False}, bars((100, 116, 100, 116)))
    assert engine.run["status"][0] == STOPPED
    assert engine.run["position"][0] == 0.0


def test_stop_loss_may_keep_the_position():
    engine, steps = play("grid", GRID | {"stop_loss": 85.0, "sell_at_end": False}, bars((100, 100, 84, 86)))
    assert engine.run["position"][0] == pytest.approx(sum(a for _, _, a in fills(steps)))
    assert not engine.orders["type"].any()


def test_it_says_when_the_price_leaves_the_range_and_when_it_is_back():
    _, steps = play(
        "grid", GRID, bars((100, 111, 100, 111), (111, 111, 104, 104), (104, 104, 89, 89), (89, 96, 89, 96))
    )
    assert notes(steps) == [STARTED, LEFT_ABOVE, CAME_BACK, LEFT_BELOW, CAME_BACK]


def test_grid_profit_counts_matched_pairs_with_their_fees():
    terms = Terms(maker=0.001, taker=0.001)
    engine, steps = play("grid", GRID, bars((100, 100, 94, 94), (94, 101, 94, 100)), terms)
    amount = fills(steps)[1][2]
    profit, cycles = engine.run["memory"][0][1:3]
    assert cycles == 1
    assert profit == pytest.approx(amount * 5.0 - amount * (100.0 + 95.0) * 0.001)


@pytest.mark.parametrize(
    ("changed", "terms", "money", "field", "sentence"),
    [
        ({"upper": 90}, Terms(), 1000, "upper", "upper must be above lower (90), not 90."),
        ({"stop_loss": 90}, Terms(), 1000, "stop_loss", "stop_loss must be below lower (90), not 90."),
        ({"take_profit": 105}, Terms(), 1000, "take_profit", "take_profit must be above upper (110), not 105."),
        (
            {"lines": 1000},
            Terms(maker=0.001),
            1000,
            "lines",
            "lines: a step of 0.0182 % is below twice the fee 0.1 %: every cycle would lose; "
            "1000 lines are too many for this range.",
        ),
        (
            {"lines": 30},
            Terms(tick=1.0),
            1000,
            "lines",
            "lines must leave at least one tick (1) between two lines; 30 are too many.",
        ),
        (
            {},
            Terms(lot=0.001, min_cost=10),
            30,
            "allocation",
            "allocation must be about 43.7733 for 4 grids that reach the market's minimum order (amount 0.001, "
            "value 10), not 30.",
        ),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, terms, money, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(GRID | changed, terms, money)
    assert caught.value.problems == {field: sentence}


def test_the_named_minimum_is_enough():
    terms = Terms(tick=0.01, lot=0.001, min_cost=10, min_amount=0.01, maker=0.001, taker=0.001)
    with pytest.raises(ParamsError) as caught:
        KIND.validate(GRID, terms, 30)
    needed = float(caught.value.problems["allocation"].split("about ")[1].split(" ")[0])
    assert KIND.validate(GRID, terms, needed)


def test_the_reference_job_gives_the_agreed_number_of_fills():
    """525,600 candles of a seeded random walk, arithmetic 14,000 to 15,900, 20 lines, equal base, fee 0.1 %."""
    candles = random_walk(525_600, 42)
    terms = Terms(tick=0.01, lot=1e-8, maker=0.001, taker=0.001, fee_step=1e-8)
    _, steps = play("grid", {"lower": 14_000, "upper": 15_900, "lines": 20}, candles, terms, 1e6)
    assert len(steps.trades) == 2750
