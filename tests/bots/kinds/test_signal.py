from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import BUY, STOP, Limits, Terms
from bots.kinds import KINDS
from bots.kinds.directional.exits import ladder
from bots.kinds.directional.layout import CONTRADICTS, COOLS_DOWN, IS_HELD, NOT_KNOWN
from bots.kinds.parameters import ParamsError
from markets.benchmarks.walk import random_walk
from tests.bots.conftest import MINUTE, bars, fills
from tests.bots.engine.made_up import candles
from tests.markets.conftest import real_candles

KIND = KINDS["signal"]
SWAP = Terms(margin=True)
# A candle that closes at 101 buys, one that closes above 300 sells; one below 100 sells short.
LONG = {"long_entry": "close == 101", "long_exit": "close > 300"}
SHORT = {"short_entry": "close < 100", "short_exit": "close < 30"}
FLAT, UP, DOWN = (100, 100, 100, 100), (100, 101, 100, 101), (100, 100, 99, 99)


def play(params, *rows, terms=Terms(), money=1000.0, limits=Limits()):  # noqa: B008
    series = bars(*rows)
    read = KIND.read(params)
    engine = Engine.new(KIND, read, terms, money, limits)
    return engine, step(engine, series, KIND.observe(read, series, 60, {}))


def traded(params, *rows, **rest):
    _, steps = play(params, *rows, **rest)
    tags = [KIND.tags[trade["tag"]] for trade in steps.trades]
    return [(side, pytest.approx(price), pytest.approx(amount), tag)
            for (side, price, amount), tag in zip(fills(steps), tags, strict=True)]  # fmt: skip


def notes(steps):
    return [int(code) for code in steps.notes["code"]]


@pytest.mark.parametrize(
    ("params", "rows", "expected"),
    [
        pytest.param(LONG, [UP], [], id="what a close asks for waits for the next price"),
        pytest.param(LONG, [UP, (200, 200, 150, 150)], [("buy", 200, 5, "long entry")], id="the next open"),
        pytest.param(
            LONG,
            [UP, (200, 250, 200, 250), (250, 301, 250, 301), (320, 320, 310, 310), FLAT],
            [("buy", 200, 5, "long entry"), ("sell", 320, 5, "exit")],
            id="the exit rule leaves at the open after it",
        ),
        pytest.param(
            LONG | {"stop_loss": 10},
            [UP, (200, 200, 150, 190)],
            [("buy", 200, 5, "long entry"), ("sell", 180, 5, "stop loss")],
            id="the stop loss stands from the fill on",
        ),
        pytest.param(
            LONG | {"stop_loss": 10},
            [UP, (200, 200, 190, 190), (170, 175, 160, 160)],
            [("buy", 200, 5, "long entry"), ("sell", 170, 5, "stop loss")],
            id="a gap through it fills at the open",
        ),
        pytest.param(
            LONG | {"take_profit": "10: 40, 20: 40, 40: 20", "stop_loss": 10},
            [UP, (200, 241, 200, 241), (241, 241, 170, 170)],
            [
                ("buy", 200, 5, "long entry"),
                ("sell", 220, 2, "take profit"),
                ("sell", 240, 2, "take profit"),
                ("sell", 180, 1, "stop loss"),
            ],
            id="targets take their shares and the stop what is left",
        ),
        pytest.param(
            LONG | {"take_profit": "10, 20", "stop_loss": 10},
            [UP, (200, 241, 200, 241), (100, 100, 50, 60)],
            [("buy", 200, 5, "long entry"), ("sell", 220, 2.5, "take profit"), ("sell", 240, 2.5, "take profit")],
            id="after the last target nothing is left to stop",
        ),
        pytest.param(
            LONG | {"trailing_distance": 10},
            [UP, (200, 300, 200, 290), (290, 290, 260, 260)],
            [("buy", 200, 5, "long entry"), ("sell", 270, 5, "trailing stop")],
            id="the trailing stop follows the high",
        ),
        pytest.param(
            LONG | {"trailing_distance": 10, "trailing_activation": 20},
            [UP, (200, 239, 170, 170), (170, 245, 170, 245), (245, 245, 215, 215)],
            [("buy", 200, 5, "long entry"), ("sell", 220.5, 5, "trailing stop")],
            id="from its activation on",
        ),
        pytest.param(
            LONG | {"trailing_distance": 10, "take_profit": "20: 50"},
            [UP, (200, 241, 200, 241), (241, 250, 225, 230), (230, 230, 200, 200)],
            [("buy", 200, 5, "long entry"), ("sell", 240, 2.5, "take profit"), ("sell", 225, 2.5, "trailing stop")],
            id="a target shrinks the trailing stop and leaves its price",
        ),
        pytest.param(
            LONG | {"stop_loss": 10, "trailing_distance": 20},
            [UP, (200, 200, 150, 190)],
            [("buy", 200, 5, "long entry"), ("sell", 180, 5, "stop loss")],
            id="of two stops the nearer one takes all",
        ),
        pytest.param(
            {"long_entry": "close > 100", "time_limit": 120},
            [UP, FLAT, FLAT, FLAT, FLAT],
            [("buy", 100, 10, "long entry"), ("sell", 100, 10, "time limit")],
            id="the time limit counts from the close that asked",
        ),
        pytest.param(
            LONG | {"size_by": "quote", "size_quote": 200},
            [UP, (200, 200, 200, 200)],
            [("buy", 200, 1, "long entry")],
            id="a fixed amount",
        ),
        pytest.param(
            LONG | {"size_equity": 25}, [UP, (200, 200, 200, 200)], [("buy", 200, 1.25, "long entry")], id="a part"
        ),
        pytest.param(
            LONG | {"size_by": "risk", "size_risk": 2, "stop_loss": 10},
            [UP, (200, 200, 200, 200), (200, 200, 180, 180)],
            [("buy", 200, 1, "long entry"), ("sell", 180, 1, "stop loss")],
            id="the stop costs 2 % of 1000",
        ),
    ],
)
def test_it_trades_as_the_rules_and_exits_say(params, rows, expected):
    assert traded(params, *rows) == expected


@pytest.mark.parametrize(
    ("params", "rows", "expected"),
    [
        pytest.param(
            SHORT | {"stop_loss": 10},
            [DOWN, (200, 230, 200, 230)],
            [("sell", 200, 5, "short entry"), ("buy", 220, 5, "stop loss")],
            id="the stop of a short is above it",
        ),
        pytest.param(
            SHORT | {"take_profit": "10: 50", "trailing_distance": 5},
            [DOWN, (200, 200, 176, 176), (176, 190, 160, 190)],
            [("sell", 200, 5, "short entry"), ("buy", 180, 2.5, "take profit"), ("buy", 168, 2.5, "trailing stop")],
            id="its targets and its trail are below",
        ),
        pytest.param(
            LONG | SHORT | {"leverage": 2},
            [UP, (100, 100, 90, 90), (80, 80, 80, 80)],
            [("buy", 100, 20, "long entry"), ("sell", 80, 20, "reversal"), ("sell", 80, 15, "short entry")],
            id="the other side's entry reverses at one price",
        ),
        pytest.param(
            LONG | SHORT | {"opposite": "ignore"},
            [UP, (100, 100, 90, 90), (80, 80, 80, 80)],
            [("buy", 100, 10, "long entry")],
            id="or is ignored",
        ),
        pytest.param(
            LONG | SHORT | {"long_exit": "close < 100", "opposite": "ignore"},
            [UP, (100, 100, 90, 90), (80, 80, 80, 80)],
            [("buy", 100, 10, "long entry"), ("sell", 80, 10, "reversal"), ("sell", 80, 10, "short entry")],
            id="but not when it is the exit too",
        ),
    ],
)  # fmt: skip
def test_it_goes_short_on_a_swap(params, rows, expected):
    assert traded(params, *rows, terms=SWAP) == expected


def test_all_in_leaves_nothing_whatever_the_next_open_and_the_fee():
    terms = Terms(maker=0.001, taker=0.002, slippage=0.01)
    engine, _ = play(LONG, UP, (250, 250, 250, 250), terms=terms)
    assert engine.run["cash"][0] == pytest.approx(0.0, abs=1e-9)
    assert engine.run["position"][0] == pytest.approx(1000 / (250 * 1.01 * 1.002))


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_all_in_on_margin_uses_the_whole_margin(side):
    terms = Terms(margin=True, maintenance=0.01, maker=0.001, taker=0.002)
    engine, steps = play(side | {"leverage": 5}, UP if side is LONG else DOWN, (200, 200, 200, 200), terms=terms)
    value = abs(engine.run["position"][0]) * 200
    assert notes(steps) == []
    assert value / 5 + value * 0.002 == pytest.approx(1000)


def test_risk_counts_the_fees():
    terms = Terms(maker=0.001, taker=0.001)
    params = LONG | {"size_by": "risk", "size_risk": 2, "stop_loss": 10}
    engine, _ = play(params, UP, (200, 200, 200, 200), (200, 200, 170, 170), terms=terms)
    assert engine.run["cash"][0] == pytest.approx(1000 - 20, rel=1e-4)


def test_the_stop_is_average_ranges_away():
    rows = [(100, 101, 99, 100)] * 5 + [(100, 101, 99, 101), (100, 101, 99, 100), (100, 101, 90, 90)]
    params = {"long_entry": "close > 100", "stop_atr": 2, "atr_period": 2}
    assert traded(params, *rows) == [("buy", 100, 10, "long entry"), ("sell", 96, 10, "stop loss")]
    _, steps = play(params, UP, FLAT)
    assert notes(steps) == [NOT_KNOWN]


def test_no_entry_during_the_cooldown():
    params = {"long_entry": "close > 100", "stop_loss": 10, "cooldown": 180}
    rows = [UP, (100, 101, 80, 101), *[(100, 101, 100, 101)] * 4]
    _, steps = play(params, *rows)
    assert notes(steps) == [COOLS_DOWN] * 3
    assert [
        (side, trade["time"] // MINUTE) for (side, _, _), trade in zip(fills(steps), steps.trades, strict=True)
    ] == [
        ("buy", bars(*rows).time[1] // MINUTE),
        ("sell", bars(*rows).time[1] // MINUTE),
        ("buy", bars(*rows).time[5] // MINUTE),
    ]


def test_signals_that_contradict_each_other_enter_nothing():
    both = {"long_entry": "close > 100", "short_entry": "close > 100"}
    assert notes(play(both, UP, terms=SWAP)[1]) == [CONTRADICTS]
    assert notes(play({"long_entry": "close > 100", "long_exit": "close > 50"}, UP)[1]) == [CONTRADICTS]


def test_an_entry_that_is_held_is_forgotten():
    """Released a day later it would be another one."""
    rows = [UP, (100, 100, 50, 101), *[(101, 101, 101, 101)] * 3]
    engine, steps = play(LONG | {"stop_loss": 10}, *rows, limits=Limits(max_daily_loss=50))
    assert [side for side, _, _ in fills(steps)] == ["buy", "sell"]
    assert IS_HELD in notes(steps)
    assert not engine.orders["type"].any()


def test_stops_are_alternatives_and_only_the_targets_are_promised():
    params = LONG | {"stop_loss": 10, "trailing_distance": 20, "take_profit": "10: 50, 20: 50"}
    engine, steps = play(params, UP, (200, 200, 200, 200), terms=Terms(lot=0.001))
    assert engine.orders["amount"][1:].tolist() == [5.0, 5.0, 2.5, 2.5]
    assert engine.orders["type"][1] == STOP
    assert notes(steps) == []


def test_it_takes_no_more_slots_than_it_needs():
    counts = [({}, 1), ({"stop_loss": 5}, 2), ({"trailing_distance": 5}, 3), ({"take_profit": "5, 10"}, 5)]
    assert [KIND.slots(KIND.read(LONG | more)) for more, _ in counts] == [count for _, count in counts]


@given(data=st.data())
def test_a_position_is_never_stopped_for_more_than_it_is(data):
    """On a swap, with every exit at once, on made-up candles: no stop outlives its position."""
    params = LONG | SHORT | {
        "long_exit": "close crosses below sma(3)", "short_exit": "close crosses above sma(4)", "stop_loss": 2,
        "trailing_distance": 1, "trailing_activation": 0.5, "take_profit": "1: 30, 2: 30, 3: 30", "leverage": 3,
        "time_limit": 300, "opposite": data.draw(st.sampled_from(["reverse", "ignore"])),
    }  # fmt: skip
    series, read = data.draw(candles()), KIND.read(params)
    terms = Terms(tick=0.01, lot=0.001, maker=0.0005, taker=0.001, fee_step=1e-8, margin=True, maintenance=0.01)
    engine, seen = Engine.new(KIND, read, terms, 10_000.0), KIND.observe(read, series, 60, {})
    for bar in range(len(series)):
        step(engine, series[bar : bar + 1], seen[bar : bar + 1])
        position, orders = engine.run["position"][0], engine.orders[:-1]
        wanted = orders[(orders["type"] != 0) & (orders["amount"] > 0) & (orders["tag"] > 2)]
        assert (wanted["side"] * position < 0).all()
        assert (wanted["amount"] <= abs(position) + 1e-9).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("2", [(0.02, 1.0)]),
        ("2, 4", [(0.02, 0.5), (0.04, 0.5)]),
        ("2: 50, 4.5:25", [(0.02, 0.5), (0.045, 0.25)]),
    ],
)
def test_a_ladder_is_read(text, expected):
    assert ladder(text) == [pytest.approx(step) for step in expected]


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        (
            {"long_entry": "sma(10) cross above sma(50)"},
            "long_entry",
            'long_entry, at character 9: expected a comparison, "crosses", "and", "or" or the end, not \'cross\'; '
            "did you mean crosses?",
        ),
        ({"long_entry": ""}, "long_entry", "long_entry or short_entry must be given: the bot would never trade."),
        (
            {"short_entry": "close < 1"},
            "short_entry",
            "short_entry must be empty on a spot market: only a swap can be sold short.",
        ),
        (
            {"long_exit": "", "opposite": "ignore"},
            "long_exit",
            "long_exit, or another exit, must be given: the position would be held for ever.",
        ),
        ({"leverage": 2}, "leverage", "leverage must be 1 on a spot market, not 2."),
        ({"stop_loss": 2, "stop_atr": 2}, "stop_atr", "stop_atr must be empty when stop_loss is given: there is one "
         "stop loss."),
        ({"size_by": "risk"}, "size_by", "size_by must be equity or quote without a stop loss: there is no risk to "
         "size by."),
        ({"size_by": "quote"}, "size_quote", "size_quote is needed when the size is a fixed amount."),
        (
            {"size_by": "quote", "size_quote": 2000},
            "size_quote",
            "size_quote must be at most the allocation times the leverage (1000), not 2000.",
        ),
        (
            {"size_equity": 0.5},
            "allocation",
            "allocation must make a position of the market's minimum order 10, not one of 4.995.",
        ),
        ({"take_profit": "1, 2, 3, 4, 5"}, "take_profit", "take_profit must have at most 4 targets, not 5."),
        ({"take_profit": "2: 60, 3: 60"}, "take_profit", "take_profit must share out at most 100 %, not 120 %."),
        ({"take_profit": "3, 2"}, "take_profit", "take_profit must have rising targets, not '3, 2'."),
        (
            {"take_profit": "2: half"},
            "take_profit",
            "take_profit must be made of targets such as 2: 50, above 0 and at most 100 %, not '2: half'.",
        ),
        (
            {"take_profit": "nan"},
            "take_profit",
            "take_profit must be made of targets such as 2: 50, above 0 and at most 1000 %, not 'nan'.",
        ),
        (
            {"take_profit": "0.1"},
            "take_profit",
            "take_profit must be above both fees, 0.2 %, not 0.1 %: it would lose.",
        ),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_get_a_sentence(changed, field, sentence):
    with pytest.raises(ParamsError) as caught:
        KIND.validate(LONG | changed, Terms(taker=0.001, min_cost=10), 1000)
    assert caught.value.problems == {field: sentence}


def test_a_lead_that_cannot_be_loaded_names_its_rule():
    params = KIND.read(LONG | {"long_exit": "ema(400)@1h > 1", "short_exit": "close@1m > 1"})
    with pytest.raises(ParamsError) as caught:
        KIND.lead(params, 300)
    assert caught.value.problems == {
        "short_exit": "short_exit: close@1m must be of a longer timeframe than the bot's 5m."
    }
    assert KIND.lead(KIND.read(LONG), 60) == 2


def reference(series, fast, slow, fee):
    """The same job in plain loops: (entries, equity at the last close). The averages are sums of whole cents."""
    cents = [round(price * 100) for price in series.close.tolist()]
    opens, averages = series.open.tolist(), []
    for period in (fast, slow):
        total, column = 0, []
        for i, price in enumerate(cents):
            total += price - (cents[i - period] if i >= period else 0)
            column.append(total * (slow // period) if i >= period - 1 else None)
        averages.append(column)
    cash, amount, entries, wanted, before = 1e8, 0.0, 0, 0, None
    for i, price in enumerate(opens):
        if wanted > 0 and not amount:
            amount, cash, entries = cash / (price * (1 + fee)), 0.0, entries + 1
        elif wanted < 0 and amount:
            cash, amount = amount * price * (1 - fee), 0.0
        wanted = 0
        now = averages[0][i] - averages[1][i] if i >= slow - 1 else None
        if before is not None and now is not None:
            wanted = 1 if before <= 0 < now else -1 if before >= 0 > now else 0
        before = now
    return entries, cash + amount * series.close[-1]


def reference_job(series, timeframe):
    params = KIND.read(KIND.example)
    engine = Engine.new(KIND, params, Terms(maker=0.001, taker=0.001), 1e8)
    steps = step(engine, series, KIND.observe(params, series, timeframe, {}))
    return np.count_nonzero(steps.trades["side"] == BUY), steps.equity[-1]


def test_the_reference_job_agrees_with_plain_loops():
    """525,600 candles of a seeded random walk, all in on the cross, fee 0.1 %, fills at the next open."""
    series = random_walk(525_600, 42)
    entries, equity = reference_job(series, 60)
    assert (entries, equity) == (7350, pytest.approx(19.5159, abs=5e-5))
    assert reference(series, 10, 50, 0.001) == (entries, pytest.approx(equity, rel=1e-9))


@pytest.mark.parametrize(
    ("name", "timeframe"), [("binance_BTCUSDT_1h_2024.csv.gz", 3600), ("binance_ETHUSDT_5m_2024.csv.gz", 300)]
)
def test_the_reference_job_agrees_on_real_candles(name, timeframe):
    series = real_candles(name)
    entries, equity = reference(series, 10, 50, 0.001)
    assert entries > 50
    assert reference_job(series, timeframe) == (entries, pytest.approx(equity, rel=1e-9))
