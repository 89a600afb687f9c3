from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.engine.simulate import Funding, step
from bots.engine.types import LIQUIDATION, REFUSED_MARGIN, STOPPED, Terms
from bots.kinds import KINDS
from bots.kinds.futures_grid.figures import figures
from bots.kinds.futures_grid.layout import CAME_BACK, LEFT_ABOVE, LEFT_BELOW, STARTED, WAITS
from bots.kinds.futures_grid.params import vector
from bots.kinds.parameters import ParamsError
from tests.bots.conftest import bars, fills, play
from tests.bots.engine.made_up import candles, fits, fresh, futures_grid_params, led

KIND = KINDS["futures_grid"]
GRID = {"lower": 90.0, "upper": 110.0, "lines": 5, "leverage": 2.0}
FREE = Terms(margin=True)
FEES = Terms(tick=0.01, lot=0.001, maker=0.0002, taker=0.0005, fee_step=1e-8, margin=True, maintenance=0.005)


def run(*rows, terms=FREE, money=1000.0, **changed):
    return play("futures_grid", GRID | changed, bars(*rows), terms, money)


def resting(engine) -> list[tuple[str, float]]:
    wanted = engine.orders[engine.wanted()]
    return [("buy" if order["side"] > 0 else "sell", float(order["price"])) for order in wanted]


def sides(steps) -> list[tuple[str, float]]:
    return [(side, price) for side, price, _ in fills(steps)]


@pytest.mark.parametrize(
    ("direction", "open_position", "traded", "waiting"),
    [
        ("long", True, [("buy", 101.0)], [("buy", 90.0), ("buy", 95.0), ("buy", 100.0), ("sell", 110.0)]),
        ("long", False, [], [("buy", 90.0), ("buy", 95.0), ("buy", 100.0)]),
        ("short", True, [("sell", 101.0)], [("buy", 90.0), ("buy", 95.0), ("sell", 105.0), ("sell", 110.0)]),
        ("short", False, [], [("sell", 105.0), ("sell", 110.0)]),
        # The line nearest to the price has no order.
        ("neutral", True, [], [("buy", 90.0), ("buy", 95.0), ("sell", 105.0), ("sell", 110.0)]),
    ],
)
def test_what_each_direction_starts_with(direction, open_position, traded, waiting):
    engine, steps = run((101, 101, 101, 101), direction=direction, open_position=open_position)
    assert sides(steps) == traded
    assert resting(engine) == waiting


def test_a_neutral_grid_is_long_below_its_start_and_short_above_it():
    engine, steps = run((101, 101, 94, 94), (94, 101, 94, 101), (101, 111, 101, 111), (111, 111, 99, 99))
    assert sides(steps) == [("buy", 95.0), ("sell", 100.0), ("sell", 105.0), ("sell", 110.0), ("buy", 105.0),
                            ("buy", 100.0)]  # fmt: skip
    amounts = {amount for _, _, amount in fills(steps)}
    assert len(amounts) == 1
    assert engine.run["position"][0] == pytest.approx(0.0)
    assert engine.run["memory"][0][1:3].tolist() == [pytest.approx(15 * amounts.pop()), 3]


def test_a_short_grid_mirrors_a_long_one():
    """Prices mirrored at 100, base-sized, no fees: the same amounts on the other side, the same equity."""
    rows = [(101, 101, 101, 101), (101, 101, 92, 92), (92, 112, 92, 112), (112, 112, 96, 96)]
    mirrored = [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in rows]
    _, long = run(*rows, direction="long", leverage=1.0)
    _, short = run(*mirrored, direction="short", leverage=1.0)
    assert [(("sell" if s == "buy" else "buy"), 200 - p) for s, p in sides(long)] == sides(short)
    # Shorts of higher prices take more margin, so the size differs; per unit of size all is the same.
    unit = long.trades["amount"][-1] / short.trades["amount"][-1]
    assert (long.equity - 1000) == pytest.approx((short.equity - 1000) * unit)


def test_cells_that_wait_enter_when_the_price_comes_back():
    rows = [(101, 101, 101, 101), (101, 109, 101, 109), (109, 112, 109, 112), (112, 112, 104, 104)]
    engine, steps = run(*rows, direction="long", open_position=False)
    assert sides(steps) == [("buy", 105.0)]
    assert ("sell", 110.0) in resting(engine)


def test_equal_quote_orders_have_the_same_value():
    engine, _ = run((100, 100, 100, 100), direction="neutral", size="quote")
    wanted = engine.orders[engine.wanted()]
    assert len(set(np.round(wanted["price"] * wanted["amount"], 9))) == 1


def test_it_waits_for_its_trigger_from_either_side():
    for price, path in ((100.0, (100, 100, 97, 97)), (94.0, (94, 97, 94, 97))):
        _, steps = run((price,) * 4, path, direction="long", trigger_price=97.0)
        assert steps.notes["code"].tolist() == [WAITS, STARTED]
        assert sides(steps)[0] == ("buy", 97.0)


@pytest.mark.parametrize(
    ("changed", "row", "closed"),
    [
        ({"direction": "long", "stop_loss": 85}, (100, 100, 84, 84), ("sell", 85.0)),
        ({"direction": "long", "take_profit": 115}, (100, 116, 100, 116), None),
        ({"direction": "short", "stop_loss": 115}, (100, 116, 100, 116), ("buy", 115.0)),
        ({"direction": "short", "take_profit": 85}, (100, 100, 84, 84), None),
        ({"direction": "neutral", "stop_loss": 85}, (100, 100, 84, 84), ("sell", 85.0)),
        ({"direction": "neutral", "upper_stop_loss": 115}, (100, 116, 100, 116), ("buy", 115.0)),
    ],
)
def test_exits_end_the_bot_and_close_what_it_holds(changed, row, closed):
    engine, steps = run((100, 100, 100, 100), row, (100, 112, 88, 100), **changed)
    assert engine.run["status"][0] == STOPPED
    assert engine.run["position"][0] == pytest.approx(0.0)
    assert not engine.orders["type"].any()
    # At its take profit a grid holds nothing any more.
    last = sides(steps)[-1] if KIND.tags[steps.trades["tag"][-1]] == "close" else None
    assert last == closed


def test_it_says_when_the_price_leaves_the_range_and_when_it_is_back():
    _, steps = run((100, 111, 100, 111), (111, 111, 104, 104), (104, 104, 89, 89), (89, 96, 89, 96))
    assert steps.notes["code"].tolist() == [STARTED, LEFT_ABOVE, CAME_BACK, LEFT_BELOW, CAME_BACK]


@pytest.mark.parametrize("direction", ["long", "neutral", "short"])
@pytest.mark.parametrize("leverage", [1.0, 2.0, 5.0, 10.0])
def test_liquidation_comes_where_the_figures_say(direction, leverage):
    """Through the whole grid to one side and beyond: the engine liquidates at the estimate, and not before."""
    changed = {"direction": direction, "leverage": leverage}
    params = KIND.read(GRID | changed)
    told = figures(vector(params, FEES), FEES, leverage, 1000.0, 101.0)
    for price, row in ((told.liquidation_down, (89, 89, 1, 1)), (told.liquidation_up, (111, 999, 111, 999))):
        away = (101, 101, 89, 89) if row[0] < 100 else (101, 111, 101, 111)
        _, steps = run((101, 101, 101, 101), away, row, terms=FEES, **changed)
        liquidated = steps.trades[steps.trades["type"] == LIQUIDATION]
        # But for the fee: the entries that waited paid the maker's.
        expected = [] if price is None else [pytest.approx(price, rel=1e-3)]
        assert liquidated["limit"].tolist() == expected


def test_figures_of_a_long_grid_by_hand():
    """Lines 90, 100, 110: the upper cell is opened at 99, the other waits at 90."""
    terms = Terms(taker=0.001, margin=True, maintenance=0.0, lot=1.0, min_cost=100)
    params = KIND.read({"lower": 90, "upper": 110, "lines": 3, "direction": "long", "leverage": 2})
    told = figures(vector(params, terms), terms, 2.0, 1000.0, 99.0)
    # When the upper cell has left at 110, both wait: (100 + 90) (1 + 2 · 0.1 %) / 2 = 95.19 a unit of size.
    assert (told.smallest_amount, told.largest_amount, told.position) == (10.0, 10.0, 10.0)
    assert told.opening_fee == pytest.approx(0.99)
    assert told.position_margin == 495.0
    assert told.orders_margin == 450.0
    # 1000 - 990 - 900 - fees of 1.89 is owed, over 20.
    assert told.liquidation_down == pytest.approx(891.89 / 20)
    assert told.liquidation_up is None
    # Two lots at 90 are worth at least 100.
    assert told.least_allocation == pytest.approx(2 * 95.19)


def test_the_named_least_allocation_is_enough_and_less_is_not():
    terms = Terms(tick=0.01, lot=0.01, min_amount=0.05, min_cost=10, maker=0.0002, taker=0.0005, margin=True)
    with pytest.raises(ParamsError) as caught:
        KIND.validate(GRID, terms, 1)
    least = float(caught.value.problems["allocation"].split("at least ")[1].split(" ")[0])
    assert KIND.validate(GRID, terms, least)
    with pytest.raises(ParamsError):
        KIND.validate(GRID, terms, 0.999 * least)


def test_funding_is_paid_by_the_longs():
    engine, _ = run((100, 100, 100, 100), (100, 100, 94, 94), direction="long")
    held = engine.run["position"][0]
    funding = Funding(np.array([engine.run["time"][0] + 60_000]), np.array([0.001]))
    from_here = bars((94, 94, 94, 94), start=int(engine.run["time"][0]) + 60_000)
    paid = step(engine, from_here, funding=funding).payments
    assert paid["fee"].tolist() == [pytest.approx(held * 94 * 0.001)]


@given(data=st.data())
def test_a_long_grid_is_never_short_and_a_short_one_never_long(data):
    params = data.draw(futures_grid_params().filter(fits("futures_grid")))
    engine = fresh("futures_grid", params)
    held = np.cumsum((trades := led(engine, data.draw(candles())).trades)["side"] * trades["amount"])
    if params["direction"] != "neutral":
        sign = 1 if params["direction"] == "long" else -1
        assert (sign * held >= -1e-9).all()


@given(data=st.data())
def test_no_order_is_ever_refused_for_want_of_margin(data):
    """What the size promises, as long as no funding is paid."""
    engine = fresh("futures_grid", data.draw(futures_grid_params().filter(fits("futures_grid"))))
    assert REFUSED_MARGIN not in led(engine, data.draw(candles())).notes["code"]


@pytest.mark.parametrize(
    ("changed", "terms", "money", "field", "sentence"),
    [
        ({"upper": 90}, FREE, 1000, "upper", "upper must be above lower (90), not 90."),
        ({"stop_loss": 90}, FREE, 1000, "stop_loss", "stop_loss must be below lower (90), not 90."),
        (
            {"direction": "short", "stop_loss": 85},
            FREE,
            1000,
            "stop_loss",
            "stop_loss must be above upper (110), not 85.",
        ),
        (
            {"direction": "short", "take_profit": 120},
            FREE,
            1000,
            "take_profit",
            "take_profit must be below lower (90), not 120.",
        ),
        (
            {"take_profit": 120},
            FREE,
            1000,
            "take_profit",
            "take_profit is not for a neutral grid: leave it empty.",
        ),
        (
            {"direction": "long", "upper_stop_loss": 120},
            FREE,
            1000,
            "upper_stop_loss",
            "upper_stop_loss is not for a long grid: leave it empty.",
        ),
        (
            {"lines": 100},
            Terms(maker=0.001, margin=True),
            1000,
            "lines",
            "lines: a step of 0.184 % is below twice the fee 0.1 %: "
            "every cycle would lose; 100 lines are too many for this range.",
        ),
        (
            {"leverage": 50},
            FEES,
            1000,
            "leverage",
            "leverage 50 would be liquidated at 92.3366, inside the grid (90 to 110): lower it, or use more lines.",
        ),
        (
            {"leverage": 20},
            Terms(margin=True, maintenance=0.05),
            1000,
            "leverage",
            "leverage must be below 20, where the market's maintenance margin of 5 % is all there is, not 20.",
        ),
        (
            {"leverage": 15, "stop_loss": 80},
            FEES,
            1000,
            "stop_loss",
            "stop_loss must be above 87.9394, where the bot would be liquidated, not 80.",
        ),
        (
            {"leverage": 15, "upper_stop_loss": 130},
            FEES,
            1000,
            "upper_stop_loss",
            "upper_stop_loss must be below 112.77, where the bot would be liquidated, not 130.",
        ),
        (
            {},
            Terms(lot=0.001, min_cost=10, margin=True),
            5,
            "allocation",
            "allocation must be at least 24.115 for 4 grids at leverage 2 that reach the market's minimum order "
            "(amount 0.001, value 10), not 5.",
        ),
        ({}, Terms(), 1000, "market", "market must be a swap for the futures_grid kind, not spot."),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(changed, terms, money, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(GRID | changed, terms, money)
    assert caught.value.problems == {field: sentence}
