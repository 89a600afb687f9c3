from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.engine.simulate import step
from bots.engine.types import LIMIT, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.conditions import STOP_LOSS_HIT, WAITING
from bots.kinds.grid.layout import CAME_BACK, LEFT_ABOVE, LEFT_BELOW, STARTED
from bots.kinds.grid.params import table
from bots.kinds.parameters import ParamsError
from markets.benchmarks.walk import random_walk
from tests.bots.conftest import GRID, bars, fills, play

KIND = KINDS["grid"]


def notes(steps) -> list[int]:
    return [int(code) for code in steps.notes["code"]]


def test_lines_count_both_ends():
    lines = table(KIND.read({"lower": 100, "upper": 200, "lines": 3}), 0.0)
    assert lines.tolist() == [100.0, 150.0, 200.0]


def test_geometric_lines_have_one_ratio():
    lines = table(KIND.read({"lower": 100, "upper": 400, "lines": 3, "spacing": "geometric"}), 0.01)
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


def test_a_grid_that_was_saved_before_it_could_trail_goes_on():
    """Its memory held three numbers; the slots and tags are the same."""
    rows = [(100, 104, 91, 97), (97, 111, 89, 99), (99, 106, 94, 101), (101, 104, 88, 96)]
    params = GRID | {"stop_loss": 80.0}
    whole, steps = play("grid", params, bars(*rows))
    engine, first = play("grid", params, bars(*rows[:2]))
    engine.run["memory"][0][3:] = 0.0
    rest = step(engine, bars(*rows)[2:])
    assert fills(first) + fills(rest) == fills(steps)
    assert engine.orders.tobytes() == whole.orders.tobytes()


def resting(engine) -> list[tuple[int, float]]:
    wanted = engine.orders[engine.orders["type"] == LIMIT]
    return sorted((int(order["side"]), float(order["price"])) for order in wanted)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [(-1, 105.0), (1, 95.0)], id="the nearest of either side"),
        pytest.param([(100, 100, 94, 94)], [(-1, 100.0), (1, 90.0)], id="it follows down"),
        pytest.param([(100, 106, 100, 106)], [(-1, 110.0), (1, 100.0)], id="it follows up"),
        pytest.param([(100, 100, 89, 89)], [(-1, 95.0)], id="below the last"),
        pytest.param([(88, 88, 88, 88)], [(-1, 95.0)], id="in a gap"),
    ],
)
def test_the_window_of_resting_orders_moves_with_each_fill(rows, expected):
    engine, _ = play("grid", GRID | {"active_buys": 1, "active_sells": 1}, bars((100, 100, 100, 100), *rows))
    assert resting(engine) == expected


@pytest.mark.parametrize(
    ("rows", "prices"),
    [
        pytest.param([(100, 100, 89, 89)], [100, 95, 90], id="a fall within a bar"),
        pytest.param([(100, 111, 100, 111)], [100, 105, 110], id="a rise within a bar"),
        pytest.param([(88, 88, 88, 88)], [100, 88, 88], id="a gap down, at the open"),
        pytest.param([(112, 112, 112, 112)], [100, 112, 112], id="a gap up, at the open"),
        pytest.param([(100, 100, 89, 111)], [100, 95, 90, 95, 100, 105, 110], id="down and up through all in one bar"),
    ],
)
def test_a_jump_trades_every_line_it_crosses_however_small_the_window(rows, prices):
    _, steps = play("grid", GRID | {"active_buys": 1, "active_sells": 1}, bars((100, 100, 100, 100), *rows))
    assert [price for _, price, _ in fills(steps)] == prices


@given(seed=st.integers(0, 2**32 - 1), buys=st.integers(1, 4), sells=st.integers(1, 4), reinvest=st.booleans())
def test_without_gaps_a_window_changes_no_trade(seed, buys, sells, reinvest):
    """An order that comes in when its neighbour fills has time to rest, as the price is a line away."""
    random = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(random.normal(0.0, 0.03, 60))), 2)
    opens = np.concatenate([[100.0], close[:-1]])
    rows = zip(opens, np.maximum(opens, close) + 1.0, np.minimum(opens, close) - 1.0, close, strict=True)
    candles, terms = bars(*rows), Terms(tick=0.01, lot=0.001, maker=0.001, taker=0.002)
    params = GRID | {"lines": 9, "reinvest": reinvest}
    _, whole = play("grid", params, candles, terms)
    _, part = play("grid", params | {"active_buys": buys, "active_sells": sells}, candles, terms)
    assert fills(part) == fills(whole)


# One cell from 100 to 110 and 1,000 quote, begun above it.
ONE = {"lower": 100.0, "upper": 110.0, "lines": 2}
CYCLE = ((115, 115, 99, 99), (99, 111, 99, 111))


@pytest.mark.parametrize(
    ("changed", "terms", "amounts"),
    [
        pytest.param({}, Terms(), [10, 10, 10, 10], id="without it profits stay in quote"),
        pytest.param({"reinvest": True}, Terms(), [10, 10, 11, 11], id="a sale buys with all it brought"),
        pytest.param({"reinvest": True, "size": "quote"}, Terms(), [10, 10, 11, 11], id="of equal value too"),
        pytest.param(
            {"reinvest": True, "upper": 106}, Terms(lot=1.0), [10, 10, 10, 10, 11, 11], id="less than a lot is kept"
        ),
        pytest.param(
            {"reinvest": True},
            Terms(maker=0.01, taker=0.01),
            # 1,000 / 101; then sold at 110 less 1 %, bought for 100 and 1 %.
            [1000 / 101, 1000 / 101, 1000 / 101 * 108.9 / 101, 1000 / 101 * 108.9 / 101],
            id="fees are paid out of it",
        ),
        pytest.param(
            {"reinvest": True},
            Terms(maker=0.0, taker=0.01),
            # 1,000 / 101 reserves the taker fee, which the buy does not pay: the sale brings 110, 1 is left of before.
            [1000 / 101, 1000 / 101, 1000 / 101 * 111 / 101, 1000 / 101 * 111 / 101],
            id="a fee that was not taken is reinvested as well",
        ),
    ],
)
def test_reinvesting_grows_the_orders_by_what_was_earned(changed, terms, amounts):
    cycles = len(amounts) // 2
    _, steps = play("grid", ONE | changed, bars((115, 115, 115, 115), *(CYCLE * cycles)), terms)
    assert [amount for _, _, amount in fills(steps)] == pytest.approx(amounts)


def test_reinvesting_spends_what_there_is_and_no_more():
    """After many cycles of several cells the cash is what is reserved, but for the lots."""
    rows = [(115, 115, 85, 85), (85, 115, 85, 115)] * 50
    terms = Terms(lot=0.001, maker=0.001, taker=0.001)
    engine, steps = play("grid", GRID | {"reinvest": True}, bars(*rows), terms)
    orders = engine.orders[engine.orders["type"] == LIMIT]
    reserved = (orders["price"] * orders["amount"]).sum() * 1.001
    assert 0.0 <= engine.run["cash"][0] - reserved < 0.5
    assert engine.run["cash"][0] > 5000
    assert len(steps.trades) == 4 * 2 * 50


@pytest.mark.parametrize(
    ("changed", "terms", "money", "field", "sentence"),
    [
        (
            {"lines": 45, "active_sells": 3},
            Terms(maker=0.0, taker=0.0025),
            1000,
            "lines",
            "lines: a step of 0.415 % is below twice the fee 0.25 %: every cycle would lose; "
            "45 lines are too many for this range.",
        ),
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
