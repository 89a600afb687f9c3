from __future__ import annotations

import pytest

from bots.engine.types import LIQUIDATION, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.futures_position.layout import DONE, REFUSED, WAITS
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play

KIND = KINDS["futures_position"]
FREE = Terms(margin=True)
FEES = Terms(tick=0.01, lot=0.001, maker=0.0002, taker=0.0005, fee_step=1e-8, margin=True, maintenance=0.005)
PARAMS = {"leverage": 5, "size": 20}  # of 1000: a margin of 200, a value of 1000
FLAT = (100, 100, 100, 100)


def traded(*rows, terms=FREE, **changed):
    _, steps = play("futures_position", PARAMS | changed, bars(*rows), terms, 1000.0)
    tags = [KIND.tags[trade["tag"]] for trade in steps.trades]
    return [
        (side, pytest.approx(price), pytest.approx(amount), tag)
        for (side, price, amount), tag in zip(fills(steps), tags, strict=True)
    ]


LADDER = {"take_profit_1": 5, "share_1": 50, "take_profit_2": 10, "share_2": 30, "take_profit_3": 20, "share_3": 20}


@pytest.mark.parametrize(
    ("rows", "changed", "expected"),
    [
        pytest.param([FLAT], {}, [("buy", 100.0, 10.0, "entry")], id="long at market, at once"),
        pytest.param([FLAT], {"side": "short"}, [("sell", 100.0, 10.0, "entry")], id="short at market"),
        pytest.param([FLAT], {"entry": "limit", "entry_price": 95}, [], id="a limit waits"),
        pytest.param(
            [FLAT, (100, 100, 94, 99)],
            {"entry": "limit", "entry_price": 95},
            [("buy", 95.0, 1000 / 95, "entry")],
            id="and fills at its price",
        ),
        pytest.param(
            [FLAT],
            {"entry": "limit", "entry_price": 80, "side": "short"},
            [("sell", 100.0, 10.0, "entry")],
            id="a short limit that is passed is sized by the price it gets",
        ),
        pytest.param(
            [FLAT, (100, 104, 99, 103)],
            {"entry": "trigger", "entry_price": 103},
            [("buy", 103.0, 1000 / 103, "entry")],
            id="a trigger above the price",
        ),
        pytest.param(
            [FLAT, (100, 100, 96, 98)],
            {"entry": "trigger", "entry_price": 97},
            [("buy", 97.0, 1000 / 97, "entry")],
            id="a trigger below the price",
        ),
        pytest.param(
            [FLAT, (100, 121, 100, 121)],
            LADDER,
            [("buy", 100.0, 10.0, "entry"), ("sell", 105.0, 5.0, "take profit"), ("sell", 110.0, 3.0, "take profit"),
             ("sell", 120.0, 2.0, "take profit")],
            id="the ladder takes its shares",
        ),
        pytest.param(
            [FLAT, (100, 100, 79, 79)],
            LADDER | {"side": "short"},
            [("sell", 100.0, 10.0, "entry"), ("buy", 95.0, 5.0, "take profit"), ("buy", 90.0, 3.0, "take profit"),
             ("buy", 80.0, 2.0, "take profit")],
            id="and so does a short's",
        ),
        pytest.param(
            [FLAT, (100, 106, 100, 106), (106, 106, 90, 90)],
            LADDER | {"stop_loss": 4},
            [("buy", 100.0, 10.0, "entry"), ("sell", 105.0, 5.0, "take profit"), ("sell", 96.0, 5.0, "stop loss")],
            id="the stop takes what the profits have left, and no more",
        ),
        pytest.param(
            [FLAT, (100, 105, 100, 104), (104, 104, 90, 90)],
            {"side": "short", "stop_loss": 4},
            [("sell", 100.0, 10.0, "entry"), ("buy", 104.0, 10.0, "stop loss")],
            id="a short's stop is above it",
        ),
        pytest.param(
            [FLAT, (100, 103, 100, 103), (103, 103, 90, 90)],
            {"stop_loss": 4, "break_even": 3},
            [("buy", 100.0, 10.0, "entry"), ("sell", 100.0, 10.0, "break-even")],
            id="from its profit on the stop is at break-even",
        ),
        pytest.param(
            [FLAT, (100, 102, 100, 102), (102, 102, 90, 90)],
            {"stop_loss": 4, "break_even": 3},
            [("buy", 100.0, 10.0, "entry"), ("sell", 96.0, 10.0, "stop loss")],
            id="and not before",
        ),
        pytest.param(
            [FLAT, (100, 108, 100, 108), (108, 120, 108, 120), (120, 120, 90, 90)],
            {"trailing_activation": 5, "trailing_distance": 10},
            [("buy", 100.0, 10.0, "entry"), ("sell", 108.0, 10.0, "trailing stop")],
            id="the trailing stop follows the best price",
        ),
        pytest.param(
            [FLAT, (100, 104, 100, 104), (104, 104, 90, 90)],
            {"trailing_activation": 5, "trailing_distance": 10},
            [("buy", 100.0, 10.0, "entry")],
            id="from its activation on",
        ),
        pytest.param(
            [FLAT, (100, 106, 100, 106), (106, 106, 90, 90)],
            {"take_profit_1": 5, "share_1": 50, "trailing_distance": 10},
            [("buy", 100.0, 10.0, "entry"), ("sell", 105.0, 5.0, "take profit"), ("sell", 95.4, 5.0, "trailing stop")],
            id="a profit takes nothing from how far it has followed",
        ),
        pytest.param(
            [FLAT, (100, 105, 100, 105), (105, 105, 105, 105), (105, 111, 105, 111)],
            {"take_profit_1": 5, "positions": 2, "reinvest": False},
            [("buy", 100.0, 10.0, "entry"), ("sell", 105.0, 10.0, "take profit"), ("buy", 105.0, 1000 / 105, "entry"),
             ("sell", 110.25, 1000 / 105, "take profit")],
            id="it enters again as often as it is told to",
        ),
    ],
)  # fmt: skip
def test_entries_and_exits(rows, changed, expected):
    assert traded(*rows, **changed) == expected


def test_it_ends_after_its_positions_and_leaves_nothing_behind():
    engine, steps = play(
        "futures_position", PARAMS | LADDER | {"stop_loss": 4}, bars(FLAT, (100, 100, 90, 90), FLAT), FREE, 1000.0
    )
    assert engine.run["status"][0] == STOPPED
    assert not engine.orders["type"].any()
    assert steps.notes["code"].tolist()[-1] == DONE


def test_it_reinvests_its_profit_or_not():
    rows = [FLAT, (100, 105, 100, 105), (105, 105, 105, 105)]
    for reinvest, value in ((True, 1050.0), (False, 1000.0)):
        entries = traded(*rows, take_profit_1=5, positions=0, reinvest=reinvest)
        assert entries[2][2] == value / 105


def test_shares_that_are_not_set_are_equal_parts_and_rounding_loses_nothing():
    terms = Terms(margin=True, lot=1.0)
    entries = traded(FLAT, (100, 130, 100, 130), terms=terms, take_profit_1=5, take_profit_2=10, take_profit_3=20)
    assert [amount for _, _, amount, _ in entries] == [10.0, 3.0, 3.0, 4.0]


def test_fees_and_slippage_come_out_of_the_margin():
    terms = Terms(margin=True, taker=0.001, slippage=0.01, maintenance=0.005)
    engine, steps = play("futures_position", {"leverage": 10, "size": 100}, bars(FLAT), terms, 1000.0)
    assert len(steps.trades) == 1
    assert engine.run["position"][0] * 101 / 10 + engine.run["fees"][0] <= 1000.0


def test_it_is_liquidated_where_the_check_says():
    params = {"leverage": 10, "size": 100}
    with pytest.raises(ParamsError) as caught:
        KIND.validate(params | {"stop_loss": 20}, FEES, 1000)
    told = float(caught.value.problems["stop_loss"].split("liquidation at ")[1].split(" ")[0])
    engine, steps = play("futures_position", params, bars(FLAT, (100, 100, 80, 80)), FEES, 1000.0)
    assert steps.trades["type"][-1] == LIQUIDATION
    assert steps.trades["limit"][-1] == pytest.approx(100 - told, rel=1e-3)
    assert engine.run["status"][0] == STOPPED


def test_an_entry_that_is_refused_ends_the_bot_with_its_reason():
    terms = Terms(margin=True, min_amount=50)
    engine, steps = play("futures_position", PARAMS, bars(FLAT), terms, 1000.0)
    assert engine.run["status"][0] == STOPPED
    assert REFUSED in steps.notes["code"]


def test_it_says_what_it_waits_for():
    _, steps = play("futures_position", PARAMS | {"entry": "trigger", "entry_price": 90}, bars(FLAT), FREE, 1000.0)
    assert [(note["code"], note["value"]) for note in steps.notes] == [(WAITS, 90.0)]


@pytest.mark.parametrize(
    ("changed", "terms", "money", "problems"),
    [
        ({"entry": "limit"}, FREE, 1000, {"entry_price": "entry_price is needed for the entry limit."}),
        (
            {"entry_price": 90},
            FREE,
            1000,
            {"entry_price": "entry_price is not for an entry at market: leave it empty."},
        ),
        (
            {"take_profit_1": 5, "take_profit_2": 4},
            FREE,
            1000,
            {"take_profit_2": "take_profit_2 must be above the one before it (5 %), not 4."},
        ),
        (
            {"take_profit_1": 0.1},
            FEES,
            1000,
            {"take_profit_1": "take_profit_1 must be above the two fees of 0.1 %, not 0.1."},
        ),
        (
            {"side": "short", "take_profit_1": 100},
            FREE,
            1000,
            {"take_profit_1": "take_profit_1 must be below 100 % for a short, not 100: no price falls further."},
        ),
        ({"share_2": 50}, FREE, 1000, {"share_2": "share_2 needs a take_profit_2."}),
        (
            {"take_profit_1": 5, "share_1": 60, "take_profit_2": 6, "share_2": 50},
            FREE,
            1000,
            {"share_2": "share_2 must leave the shares at 100 % together, not 110 %."},
        ),
        (
            {"break_even": 0.1},
            FEES,
            1000,
            {"break_even": "break_even must be above the two fees of 0.1 %, not 0.1."},
        ),
        (
            {"leverage": 20, "size": 100, "stop_loss": 4.5},
            FEES,
            1000,
            {"stop_loss": "stop_loss must be below 4.249 % (liquidation at 4.472 %, less the buffer of 5 %), not 4.5."},
        ),
        (
            {"leverage": 20, "size": 100, "trailing_distance": 6},
            FEES,
            1000,
            {"trailing_distance": "trailing_distance must be below 4.249 % (liquidation at 4.472 %, less the buffer "
             "of 5 %), not 6."},
        ),
        (
            {"leverage": 20},
            Terms(margin=True, maintenance=0.05),
            1000,
            {"leverage": "leverage must be below 20, where the market's maintenance margin of 5 % is all there is, "
             "not 20."},
        ),
        (
            LADDER,
            Terms(margin=True, min_cost=20),
            90,
            {"allocation": "allocation must be at least 100 for orders that reach the market's minimum value of 20, "
             "not 90."},
        ),
        ({"leverage": 500}, FREE, 1000, {"leverage": "leverage must be at most 200 ×, not 500."}),
        ({}, Terms(), 1000, {"market": "market must be a swap for the futures_position kind, not spot."}),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_get_a_sentence(changed, terms, money, problems):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(PARAMS | changed, terms, money)
    assert caught.value.problems == problems


def test_shorts_are_liquidated_sooner_than_longs():
    """The maintenance margin grows with the price."""
    moves = {}
    for side in ("long", "short"):
        with pytest.raises(ParamsError) as caught:
            KIND.validate({"leverage": 10, "size": 100, "side": side, "stop_loss": 50}, FEES, 1000)
        moves[side] = float(caught.value.problems["stop_loss"].split("liquidation at ")[1].split(" ")[0])
    assert moves == {"long": pytest.approx(9.497, abs=1e-3), "short": pytest.approx(9.403, abs=1e-3)}


def test_a_limit_order_that_is_placed_between_two_ticks_fills_on_one():
    """It re-enters where its trailing stop was touched, at 95.81 × 0.997 = 95.52257."""
    params = {
        "size": 10,
        "leverage": 1,
        "positions": 2,
        "entry": "limit",
        "entry_price": 97.0,
        "trailing_distance": 0.3,
    }
    _, steps = play(
        "futures_position", params, bars((95.81, 106.28, 92.97, 101.01)), Terms(tick=0.01, lot=0.001, margin=True)
    )
    assert [trade[1] for trade in fills(steps)][:3] == [95.81, 95.52, 95.52]
