from __future__ import annotations

import numpy as np
import pytest

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.kinds.directional.layout import COOLS_DOWN, LONG_ENTRY, LONG_EXIT, NOT_KNOWN, SHORT_ENTRY, SHORT_EXIT
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills

KIND = KINDS["prediction"]
SWAP = Terms(margin=True)
LONG = {"enter_above": 0.6, "exit_below": 0.4}
SHORT = {"short_below": 0.3, "short_exit_above": 0.5}
NONE = float("nan")


def observed(params, series, predictions):
    return KIND.observe(params, series, 60, {"logistic": np.array(predictions, float)})


def play(params, *rows, terms=Terms(), money=1000.0):  # noqa: B008
    """Each row is a candle and the prediction at its close."""
    series, read = bars(*(row[:4] for row in rows)), KIND.read(params)
    seen = observed(read, series, [row[4] for row in rows])
    return step(Engine.new(KIND, read, terms, money), series, seen)


def traded(params, *rows, **rest):
    steps = play(params, *rows, **rest)
    tags = [KIND.tags[trade["tag"]] for trade in steps.trades]
    return [(side, pytest.approx(price), pytest.approx(amount), tag)
            for (side, price, amount), tag in zip(fills(steps), tags, strict=True)]  # fmt: skip


def at(price, prediction):
    return (price, price, price, price, prediction)


@pytest.mark.parametrize(
    ("params", "rows", "expected"),
    [
        pytest.param(LONG, [at(100, 0.7)], [], id="what a close asks for waits for the next price"),
        pytest.param(LONG, [at(100, 0.7), at(200, 0.5)], [("buy", 200, 5, "long entry")], id="bought at the next open"),
        pytest.param(LONG, [at(100, 0.6), at(200, 0.6)], [], id="the bound itself is not above it"),
        pytest.param(LONG, [at(100, NONE), at(200, NONE), at(200, 0.5)], [], id="no prediction asks for nothing"),
        pytest.param(
            LONG,
            [at(100, 0.7), at(200, NONE), at(200, 0.4), at(250, 0.39), at(300, NONE)],
            [("buy", 200, 5, "long entry"), ("sell", 300, 5, "exit")],
            id="held while nothing is known and at the bound, sold below it",
        ),
        pytest.param(
            LONG | {"stop_loss": 10},
            [at(100, 0.7), (200, 200, 150, 190, 0.5)],
            [("buy", 200, 5, "long entry"), ("sell", 180, 5, "stop loss")],
            id="the exits are those of signal bots",
        ),
        pytest.param(
            LONG | {"take_profit": "10: 40, 20: 60"},
            [at(100, 0.7), (200, 225, 200, 225, 0.7), at(225, 0.3), at(230, 0.5)],
            [("buy", 200, 5, "long entry"), ("sell", 220, 2, "take profit"), ("sell", 230, 3, "exit")],
            id="the exit takes what the targets left",
        ),
        pytest.param(
            {"enter_above": 0.6, "stop_loss": 10},
            [at(100, 0.7), (200, 200, 170, 170, 0.7), at(100, 0.1)],
            [("buy", 200, 5, "long entry"), ("sell", 180, 5, "stop loss"), ("buy", 100, 9, "long entry")],
            id="while the prediction stays above the bound it enters again",
        ),
    ],
)
def test_it_trades_as_predictions_and_exits_say(params, rows, expected):
    assert traded(params, *rows) == expected


@pytest.mark.parametrize(
    ("params", "rows", "expected"),
    [
        pytest.param(
            SHORT,
            [at(100, 0.29), at(200, 0.5), at(200, 0.51), at(150, 0.5)],
            [("sell", 200, 5, "short entry"), ("buy", 150, 5, "exit")],
            id="short below, bought back above",
        ),
        pytest.param(
            {"enter_above": 0.6, "short_below": 0.4},
            [at(100, 0.7), at(100, 0.5), at(100, 0.3), at(80, 0.5)],
            [("buy", 100, 10, "long entry"), ("sell", 80, 10, "reversal"), ("sell", 80, 10, "short entry")],
            id="the other side's entry reverses",
        ),
        pytest.param(
            LONG | SHORT | {"opposite": "ignore"},
            [at(100, 0.7), at(100, 0.35), at(80, 0.5)],
            [("buy", 100, 10, "long entry"), ("sell", 80, 10, "exit")],
            id="an exit that is no entry of the other side",
        ),
    ],
)
def test_it_goes_short_on_a_swap(params, rows, expected):
    assert traded(params, *rows, terms=SWAP) == expected


def test_cooldown_and_unknown_ranges_are_told():
    cooling = play(
        {"enter_above": 0.6, "stop_loss": 10, "cooldown": 120}, at(100, 0.7), (100, 100, 80, 80, 0.7), at(80, 0.7)
    )
    assert cooling.notes["code"].tolist() == [COOLS_DOWN, COOLS_DOWN]
    assert play({"enter_above": 0.6, "stop_atr": 2}, at(100, 0.7)).notes["code"].tolist() == [NOT_KNOWN]


def test_signals_are_the_bounds_that_were_passed_and_the_range_stands_beside_them():
    params = KIND.read(LONG | {"short_below": 0.4, "short_exit_above": 0.6, "stop_atr": 2, "atr_period": 2})
    seen = observed(params, bars(*[(100, 101, 99, 100)] * 4), [0.7, 0.3, 0.5, NONE])
    assert seen.signals.tolist() == [LONG_ENTRY | SHORT_EXIT, LONG_EXIT | SHORT_ENTRY, 0, 0]
    assert np.isnan(seen.inputs[:2]).all()
    assert seen.inputs[2:].tolist() == [[2.0], [2.0]]


def test_it_reads_the_predictions_of_its_model_and_no_older_candles():
    params = KIND.read(LONG)
    assert KIND.columns(params) == ("logistic",)
    assert KIND.lead(params, 60) == 1
    assert KIND.lead(KIND.read(LONG | {"stop_atr": 2}), 60) > 4096


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"model": "oracle"}, "model", "model must be one of logistic, not 'oracle'."),
        ({"enter_above": 1}, "enter_above", "enter_above must be at most 0.99, not 1."),
        ({"exit_below": 0}, "exit_below", "exit_below must be at least 0.01, not 0."),
        ({"enter_above": "high"}, "enter_above", "enter_above must be a number, not 'high'."),
        ({"exit_below": 0.7}, "exit_below", "exit_below must be at most enter_above, 0.6, not 0.7."),
        ({"enter_above": None}, "enter_above", "enter_above or short_below must be given: the bot would never trade."),
        (
            {"exit_below": None},
            "exit_below",
            "exit_below, or another exit, must be given: the position would be held for ever.",
        ),
        (
            {"short_below": 0.3},
            "short_below",
            "short_below must be empty on a spot market: only a swap can be sold short.",
        ),
        ({"leverage": 2}, "leverage", "leverage must be 1 on a spot market, not 2."),
        ({"take_profit": "0.1"}, "take_profit", "take_profit must be above both fees, 0.2 %, not 0.1 %: it would "
         "lose."),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_get_a_sentence(changed, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(LONG | changed, Terms(taker=0.001, min_cost=10), 1000)
    assert caught.value.problems == {field: sentence}


def test_the_bounds_of_both_sides_must_not_overlap():
    with pytest.raises(ParamsError) as caught:
        KIND.validate(LONG | {"short_below": 0.65, "short_exit_above": 0.62}, SWAP, 1000)
    assert caught.value.problems == {"short_below": "short_below must be at most enter_above, 0.6, not 0.65."}
    with pytest.raises(ParamsError) as caught:
        KIND.validate(LONG | {"short_below": 0.5, "short_exit_above": 0.45}, SWAP, 1000)
    assert caught.value.problems == {"short_below": "short_below must be at most short_exit_above, 0.45, not 0.5."}


def test_the_examples_of_the_form_fit():
    params = KIND.validate(KIND.example, Terms(taker=0.001, min_cost=10), 1000)
    assert params == KIND.read(KIND.example)
