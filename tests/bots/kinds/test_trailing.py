from __future__ import annotations

import pytest

from bots.engine.types import STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play

KIND = KINDS["trailing"]
# Buy 10 % above the low; from 20 % profit on sell 10 % below the high.
PARAMS = {"buy_distance": 10, "sell_activation": 20, "sell_distance": 10}
FLAT = (100, 100, 100, 100)


def traded(*rows, terms=Terms(), **changed):  # noqa: B008
    _, steps = play("trailing", PARAMS | changed, bars(*rows), terms, 1000.0)
    tags = [KIND.tags[trade["tag"]] for trade in steps.trades]
    return [(side, pytest.approx(price), tag) for (side, price, _), tag in zip(fills(steps), tags, strict=True)]


@pytest.mark.parametrize(
    ("rows", "changed", "expected"),
    [
        pytest.param([FLAT, (100, 108, 80, 85)], {}, [], id="a low alone buys nothing"),
        pytest.param([FLAT, (100, 100, 80, 90)], {}, [("buy", 88.0, "buy")], id="a turn of 10 % from the low buys"),
        pytest.param(
            [FLAT, (100, 100, 80, 80), (80, 80, 60, 60), (60, 70, 60, 70)],
            {},
            [("buy", 66.0, "buy")],
            id="the low is followed over bars",
        ),
        pytest.param(
            [FLAT, (100, 110, 94, 110)], {"buy_activation": 90}, [], id="above the activation no low is followed"
        ),
        pytest.param(
            [FLAT, (100, 100, 85, 85), (85, 94, 85, 94)],
            {"buy_activation": 90},
            [("buy", 93.5, "buy")],
            id="below the activation it is",
        ),
        pytest.param([FLAT, (100, 115, 100, 115)], {"buy_limit": 105}, [], id="a turn above the limit buys nothing"),
        pytest.param(
            [FLAT, (100, 300, 100, 300), (300, 300, 80, 80), (80, 81, 80, 81)],
            {"buy_limit": 90, "buy_distance": 1},
            [("buy", 80.8, "buy")],
            id="a long rise above the limit is waited out",
        ),
        pytest.param(
            [FLAT, (100, 130, 100, 130), (130, 130, 110, 110)],
            {"start_with": "sell"},
            [("buy", 100.0, "buy"), ("sell", 117.0, "sell")],
            id="the sale arms at its profit and follows the high",
        ),
        pytest.param(
            [FLAT, (100, 119, 100, 119), (119, 119, 100, 100)],
            {"start_with": "sell"},
            [("buy", 100.0, "buy")],
            id="below its profit nothing is sold",
        ),
        pytest.param(
            [FLAT, (100, 100, 94, 94)],
            {"start_with": "sell", "stop_loss": 5},
            [("buy", 100.0, "buy"), ("sell", 95.0, "stop loss")],
            id="the stop loss is there from the buy on",
        ),
        pytest.param(
            [FLAT, (100, 130, 100, 130), (130, 130, 50, 50)],
            {"start_with": "sell", "stop_loss": 5},
            [("buy", 100.0, "buy"), ("sell", 117.0, "sell")],
            id="one sale withdraws the other",
        ),
    ],
)
def test_it_trades_at_the_turns(rows, changed, expected):
    assert traded(*rows, **changed) == expected


def test_it_ends_after_its_cycles():
    rows = [FLAT, (100, 130, 100, 130), (130, 130, 100, 100), (100, 130, 100, 130), (130, 130, 50, 50)]
    engine, steps = play("trailing", PARAMS | {"start_with": "sell", "cycles": 1}, bars(*rows))
    assert [side for side, _, _ in fills(steps)] == ["buy", "sell"]
    assert engine.run["status"][0] == STOPPED


def test_it_reinvests_its_profit_or_not():
    rows = [FLAT, (100, 130, 100, 130), (130, 130, 100, 100), (100, 112, 100, 112)]
    values = {}
    for reinvest in (True, False):
        _, steps = play("trailing", PARAMS | {"start_with": "sell", "reinvest": reinvest}, bars(*rows))
        values[reinvest] = fills(steps)[2][1] * fills(steps)[2][2]
    assert values == {True: pytest.approx(1170.0), False: pytest.approx(1000.0)}


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        (
            {"sell_activation": 1, "sell_distance": 1},
            "sell_activation",
            "sell_activation must leave more than the two fees of 0.1 % after a turn of 1 %, not -0.01 %: "
            "raise it or lower sell_distance.",
        ),
        (
            {"buy_activation": 100, "buy_limit": 90},
            "buy_limit",
            "buy_limit must be at least buy_activation (100), not 90.",
        ),
        ({"buy_distance": 0}, "buy_distance", "buy_distance must be at least 0.05 %, not 0."),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, Terms(taker=0.001), 1000)
    assert caught.value.problems == {field: sentence}


def test_a_turn_between_two_ticks_is_bought_with_all_there_is():
    """The low of 0.8383 turns at 0.841653, which fills at 0.8417: what that costs must be there."""
    terms = Terms(tick=0.0001, lot=1.0, taker=0.001, fee_step=1e-8)
    params = {"buy_distance": 0.4, "sell_activation": 10, "sell_distance": 1}
    rows = [(0.8383, 0.8383, 0.8383, 0.8383), (0.8383, 0.8420, 0.8383, 0.8420)]
    engine, steps = play("trailing", params, bars(*rows), terms, 10_069.79)
    assert fills(steps) == [("buy", 0.8417, 11951.0)]
    assert 0 <= engine.run["cash"][0] < 1
