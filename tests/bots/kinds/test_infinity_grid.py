from __future__ import annotations

import pytest

from bots.engine.types import LIMIT, RUNNING, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play

KIND = KINDS["infinity_grid"]
# From 100 two levels of 25 % fit above 60: 80 and 64. V (1 + 2 (1 − 1/1.25)) = 1400 gives V = 1000.
PARAMS = {"lower": 60.0, "grid_profit": 25.0, "window": 2}
MONEY = 1400.0


def run_of(*rows, terms=Terms(), **changed):  # noqa: B008
    return play("infinity_grid", PARAMS | changed, bars(*rows), terms, MONEY)


def resting(engine) -> list[tuple[int, float, float]]:
    wanted = sorted(engine.orders[engine.orders["type"] == LIMIT], key=lambda order: order["price"])
    return [(int(o["side"]), round(float(o["price"]), 6), round(float(o["amount"]), 6)) for o in wanted]


def test_it_starts_with_its_constant_value_and_reserves_for_every_level_below():
    engine, steps = run_of((100, 100, 100, 100))
    assert fills(steps) == [("buy", 100.0, pytest.approx(10.0))]
    assert resting(engine) == [(1, 64.0, 3.125), (1, 80.0, 2.5), (-1, 125.0, 2.0), (-1, 156.25, 1.6)]
    assert engine.run["cash"][0] == pytest.approx(64.0 * 3.125 + 80.0 * 2.5)


def test_a_rise_keeps_the_value_constant_and_earns_the_step():
    engine, steps = run_of((100, 160, 100, 160))
    assert fills(steps)[1:] == [("sell", 125.0, pytest.approx(2.0)), ("sell", 156.25, pytest.approx(1.6))]
    assert engine.run["position"][0] * 156.25 == pytest.approx(1000.0)
    assert [order[1] for order in resting(engine)] == [100.0, 125.0, 195.3125, 244.140625]


def test_what_was_sold_is_bought_back_one_level_lower_for_less():
    engine, steps = run_of((100, 130, 100, 130), (130, 130, 95, 95))
    assert fills(steps)[1:] == [("sell", 125.0, pytest.approx(2.0)), ("buy", 100.0, pytest.approx(2.0))]
    assert engine.run["memory"][0][1] == pytest.approx(2.0 * 25.0)
    assert resting(engine) == resting(run_of((100, 100, 100, 100))[0])


def test_below_the_lowest_price_nothing_is_bought():
    engine, steps = run_of((100, 100, 40, 41))
    assert [price for _, price, _ in fills(steps)] == [100.0, 80.0, 64.0]
    assert engine.run["cash"][0] == pytest.approx(0.0)
    assert "The price fell to the lowest price" in KIND.notes[int(steps.notes["code"][-1])]


def test_take_profit_sells_everything():
    engine, _ = run_of((100, 210, 100, 205), take_profit=200.0)
    assert (engine.run["status"][0], engine.run["position"][0]) == (STOPPED, 0.0)


@pytest.mark.parametrize(
    ("changed", "terms", "money", "problems"),
    [
        (
            {"grid_profit": 0.1},
            Terms(maker=0.001),
            1000,
            {"grid_profit": "grid_profit: a step of 0.1 % is below twice the fee 0.1 %: every cycle would lose."},
        ),
        ({"stop_loss": 60}, Terms(), 1000, {"stop_loss": "stop_loss must be below lower (60), not 60."}),
        ({"take_profit": 50}, Terms(), 1000, {"take_profit": "take_profit must be above lower (60), not 50."}),
        (
            {},
            Terms(min_cost=10),
            20,
            {"allocation": "allocation must be above 50 for orders of the market's minimum value 10, not 20."},
        ),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, terms, money, problems):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, terms, money)
    assert caught.value.problems == problems


def test_levels_that_the_tick_would_throw_together_are_refused():
    with pytest.raises(ParamsError, match=r"lower must be at least 100 for levels of 1 % that are a tick \(1\) apart"):
        KIND.validate({"lower": 99.0, "grid_profit": 1.0}, Terms(tick=1.0), 1000.0)
    KIND.validate({"lower": 100.0, "grid_profit": 1.0}, Terms(tick=1.0), 1000.0)


def test_a_day_s_candle_may_cross_hundreds_of_levels():
    """A fall and a rise of 40 % in one candle is many honest fills, not a bot that runs in circles."""
    rows = ((100, 100, 100, 100), (100, 101, 61, 100))
    engine, steps = run_of(*rows, grid_profit=0.15)
    assert engine.run["status"][0] == RUNNING
    assert len(steps.trades) > 600


def test_a_level_that_rounds_to_the_lower_price_has_its_money():
    """90.54 / 1.003² = 89.9992, which is 90.00 on the tick: it is bought, so it is paid for from the start."""
    params = {"lower": 90.0, "grid_profit": 0.3, "window": 2}
    engine, steps = play(
        "infinity_grid", params, bars((90.54, 90.54, 90.54, 90.54), (90.54, 90.54, 89.0, 89.5)),
        Terms(tick=0.01, lot=0.001, maker=0.0005, taker=0.001), 10_000.0,
    )  # fmt: skip
    assert [price for _, price, _ in fills(steps)] == [90.54, 90.27, 90.0]
    assert engine.run["cash"][0] >= 0.0
    assert not set(steps.notes["code"].tolist()) - set(KIND.notes)
