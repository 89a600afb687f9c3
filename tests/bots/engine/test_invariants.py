"""What must hold of every kind, on candles and parameters that hypothesis makes up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.book import Book
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, step
from bots.engine.types import BUY, LIMIT, LIQUIDATION, SELL, STOP, STOPPED, TRAIL, Terms
from bots.kinds import KINDS
from bots.kinds.dca.params import safety_orders
from bots.kinds.parameters import ParamsError
from markets.precision import to_decimal
from markets.series import Candles
from tests.bots.conftest import START

TERMS = Terms(tick=0.01, lot=0.001, maker=0.0005, taker=0.001, slippage=0.0005, fee_step=1e-8)
MARGIN_TERMS = replace(TERMS, margin=True, maintenance=0.005)
MONEY = 10_000.0


@st.composite
def candles(draw) -> Candles:
    """Consistent candles around 100 that jump, gap and stand still."""
    count = draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0.0005, 0.01, 0.08]))
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, spread, count))), 2)
    gap = np.where(random.random(count) < 0.3, random.normal(0, spread, count), 0.0)
    opens = np.round(np.concatenate([[100.0], close[:-1]]) * np.exp(gap), 2)
    wicks = np.abs(random.normal(0, spread / 2, (2, count))) * close
    high = np.round(np.maximum(opens, close) + wicks[0], 2)
    low = np.round(np.maximum(np.minimum(opens, close) - wicks[1], 0.01), 2)
    low = np.minimum(low, np.minimum(opens, close))
    time = START + np.arange(count, dtype=np.int64) * 60_000
    return Candles(time, opens, high, low, close, np.ones(count))


def conditions(draw, stop: float, profit: float) -> dict:
    """Trigger and exits; stop, profit: prices outside the range."""
    params = {"sell_at_end": draw(st.booleans())}
    if draw(st.booleans()):
        params["trigger_price"] = draw(st.sampled_from([95.0, 100.0, 104.0]))
    for name, price in {"stop_loss": stop, "take_profit": profit}.items():
        if draw(st.booleans()):
            way = draw(st.sampled_from(["price", "amount", "ratio"]))
            level = {"price": round(price, 2), "amount": draw(st.sampled_from([20.0, 300.0])), "ratio": 1.5}[way]
            params |= {name: level, f"{name}_by": way, f"{name}_delay": draw(st.sampled_from([0, 60, 300]))}
    return params


@st.composite
def grid_params(draw) -> dict:
    lower = draw(st.sampled_from([60.0, 90.0, 97.0, 101.0]))
    upper = round(lower * draw(st.sampled_from([1.03, 1.2, 1.9])), 2)
    params = {
        "lower": lower,
        "upper": upper,
        "lines": draw(st.integers(2, 12)),
        "spacing": draw(st.sampled_from(["arithmetic", "geometric"])),
        "size": draw(st.sampled_from(["base", "quote"])),
        "reinvest": draw(st.booleans()),
        "active_buys": draw(st.integers(0, 3)),
        "active_sells": draw(st.integers(0, 3)),
    }
    lowest, highest, step = lower, upper, (upper - lower) * 1.9 / (params["lines"] - 1)
    if params["size"] == "quote" and draw(st.booleans()):
        params["trailing_up"] = True
        if draw(st.booleans()):
            highest = params["trailing_up_limit"] = round(upper + draw(st.sampled_from([1, 7])) * step, 2)
    if draw(st.booleans()) and lower - 5 * step > 1.0:
        lowest = round(lower - draw(st.sampled_from([1, 5])) * step, 2)
        params |= {"trailing_down": True, "trailing_down_stop": lowest}
    return params | conditions(draw, lowest * 0.97, highest * 1.03)


@st.composite
def infinity_grid_params(draw) -> dict:
    lower = draw(st.sampled_from([40.0, 90.0, 105.0]))
    params = {
        "lower": lower,
        "grid_profit": draw(st.sampled_from([0.3, 1.0, 7.0])),
        "window": draw(st.integers(1, 6)),
    }
    return params | conditions(draw, lower * 0.97, 120.0)


@st.composite
def trailing_params(draw) -> dict:
    params = {
        "start_with": draw(st.sampled_from(["buy", "sell"])),
        "buy_distance": draw(st.sampled_from([0.1, 1.0, 5.0])),
        "sell_activation": draw(st.sampled_from([0, 2.5, 4.0])),
        "sell_distance": draw(st.sampled_from([0.2, 1.5])),
        "cycles": draw(st.integers(0, 3)),
        "reinvest": draw(st.booleans()),
    }
    for name, values in {"buy_activation": [95.0, 99.0], "buy_limit": [99.0, 101.0], "stop_loss": [0.5, 4.0]}.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    return params


@st.composite
def dca_params(draw) -> dict:
    params = {
        "base_order": draw(st.sampled_from([50.0, 500.0])),
        "safety_order": draw(st.sampled_from([50.0, 200.0])),
        "max_safety_orders": draw(st.integers(0, 6)),
        "active_safety_orders": draw(st.integers(0, 7)),
        "step": draw(st.sampled_from([0.2, 1.0, 3.0])),
        "step_scale": draw(st.sampled_from([0.8, 1.0, 1.5])),
        "volume_scale": draw(st.sampled_from([1.0, 1.4])),
        "take_profit": draw(st.sampled_from([1.2, 3.0])),
        "take_profit_on": draw(st.sampled_from(["total", "base"])),
        "cooldown": draw(st.sampled_from([0, 120])),
        "max_deals": draw(st.integers(0, 3)),
        "stop_loss_action": draw(st.sampled_from(["close", "end"])),
        "reinvest": draw(st.sampled_from([0, 100])),
    }
    if draw(st.booleans()):
        params |= {"custom_steps": "0.4:50, 1:75.5, 4:200", "safety_order": None}
    if draw(st.booleans()):
        params |= {"take_profit_steps": "0.9:25, 1.5:30, 4:45", "break_even_step": draw(st.integers(0, 2))}
    optional = {
        "trailing": [0.2, 0.5],
        "stop_loss": [5.0, 70.0],
        "break_even": [0.5, 2.0],
        "min_price": [98.0, 99.0],
        "max_price": [99.0, 101.0],
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    deepest = float(safety_orders(KINDS["dca"].read(params))[-1:, 0].sum())
    if params.get("stop_loss", 100.0) <= 100 * deepest:
        params["stop_loss"] = 70.0
    if params.keys() & {"stop_loss", "break_even"}:
        params["stop_loss_timeout"] = draw(st.sampled_from([0, 0, 60, 180]))
    if "trailing" in params and draw(st.booleans()):
        params["min_profit"] = 2.0
    return params


@st.composite
def accumulation_params(draw) -> dict:
    params = {
        "amount": draw(st.sampled_from([50.0, 700.0])),
        "interval": draw(st.sampled_from([1, 60, 300, 86_400])),
        "multiplier": draw(st.sampled_from([1.0, 1.5])),
        "fall": draw(st.sampled_from([0.1, 1.0])),
        "cap": draw(st.sampled_from([1.0, 3.0])),
        "after_take_profit": draw(st.sampled_from(["restart", "end"])),
    }
    optional = {
        "total": [1000.0, 9900.0],
        "purchases": [1, 4],
        "min_price": [98.0],
        "max_price": [99.0, 101.0],
        "take_profit": [0.3, 2.0],
        "stop_loss": [0.5, 5.0],
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    return params


@st.composite
def signal_params(draw) -> dict:
    """Rules with a short memory, so that a few candles are enough for many trades."""
    params = {
        "long_entry": draw(st.sampled_from(["close crosses above sma(3)", "close > sma(4)", "rsi(2) < 30"])),
        "long_exit": draw(st.sampled_from(["", "close crosses below sma(3)", "close@5m < sma(2)"])),
        "stop_loss": draw(st.sampled_from([0.5, 3.0])),
        "size_by": draw(st.sampled_from(["equity", "risk"])),
        "cooldown": draw(st.sampled_from([0, 180])),
    }
    optional = {
        "take_profit": ["1: 50", "1, 2, 5"], "trailing_distance": [0.3, 2.0], "trailing_activation": [0.0, 1.0],
        "time_limit": [60, 600],
    }  # fmt: skip
    for name, values in optional.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    return params


@st.composite
def prediction_params(draw) -> dict:
    params = {
        "enter_above": draw(st.sampled_from([0.5, 0.7])),
        "exit_below": draw(st.sampled_from([None, 0.2, 0.5])),
        "stop_loss": draw(st.sampled_from([0.5, 3.0])),
        "size_by": draw(st.sampled_from(["equity", "risk"])),
        "cooldown": draw(st.sampled_from([0, 180])),
    }
    optional = {"take_profit": ["1: 50", "1, 2, 5"], "trailing_distance": [0.3, 2.0], "time_limit": [60, 600]}
    for name, values in optional.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    return params


def fits(slug: str):
    """True for parameters that the kind takes."""

    def check(params: dict) -> bool:
        try:
            KINDS[slug].validate(params, terms_for(slug), MONEY)
        except ParamsError:
            return False
        return True

    return check


@st.composite
def futures_grid_params(draw) -> dict:
    lower = draw(st.sampled_from([60.0, 90.0, 97.0, 101.0]))
    upper = round(lower * draw(st.sampled_from([1.03, 1.2, 1.9])), 2)
    params = {
        "lower": lower,
        "upper": upper,
        "lines": draw(st.integers(2, 12)),
        "spacing": draw(st.sampled_from(["arithmetic", "geometric"])),
        "size": draw(st.sampled_from(["base", "quote"])),
        "direction": draw(st.sampled_from(["long", "short", "neutral"])),
        "leverage": draw(st.sampled_from([1, 2, 5, 15])),
        "open_position": draw(st.booleans()),
    }
    below, above = round(lower * 0.98, 2), round(upper * 1.02, 2)
    short, neutral = params["direction"] == "short", params["direction"] == "neutral"
    exits = {"stop_loss": above if short else below, "trigger_price": draw(st.sampled_from([95.0, 100.0, 104.0]))}
    exits["upper_stop_loss" if neutral else "take_profit"] = below if short else above
    return params | {name: price for name, price in exits.items() if draw(st.booleans())}


@st.composite
def futures_position_params(draw) -> dict:
    params = {
        "side": draw(st.sampled_from(["long", "short"])),
        "leverage": draw(st.sampled_from([1, 3, 12])),
        "size": draw(st.sampled_from([10, 60, 100])),
        "positions": draw(st.integers(0, 3)),
        "reinvest": draw(st.booleans()),
        "entry": draw(st.sampled_from(["market", "limit", "trigger"])),
        "trailing_activation": draw(st.sampled_from([0, 1.0])),
    }
    if params["entry"] != "market":
        params["entry_price"] = draw(st.sampled_from([97.0, 100.0, 103.0]))
    rungs = [(0.5, 30.0), (1.5, None), (4.0, None), (9.0, 20.0)][: draw(st.integers(0, 4))]
    for number, (move, share) in enumerate(rungs, 1):
        params |= {f"take_profit_{number}": move, f"share_{number}": share}
    for name, values in {"stop_loss": [0.5, 4.0], "break_even": [0.6, 3.0], "trailing_distance": [0.3, 2.0]}.items():
        if draw(st.booleans()):
            params[name] = draw(st.sampled_from(values))
    return params


PARAMS = {
    "grid": grid_params(),
    "infinity_grid": infinity_grid_params(),
    "trailing": trailing_params(),
    "dca": dca_params(),
    "accumulation": accumulation_params(),
    "signal": signal_params(),
    "prediction": prediction_params(),
    "futures_grid": futures_grid_params().filter(fits("futures_grid")),
    "futures_position": futures_position_params().filter(fits("futures_position")),
}
every_kind = pytest.mark.parametrize("slug", list(KINDS))
every_spot_kind = pytest.mark.parametrize("slug", [slug for slug, kind in KINDS.items() if not kind.margin])
every_margin_kind = pytest.mark.parametrize("slug", [slug for slug, kind in KINDS.items() if kind.margin])


def terms_for(slug: str) -> Terms:
    return MARGIN_TERMS if KINDS[slug].margin else TERMS


def fresh(slug: str, params: dict, terms: Terms | None = None) -> Engine:
    kind, terms = KINDS[slug], terms or terms_for(slug)
    return Engine.new(kind, kind.validate(params, terms, MONEY), terms, MONEY)


def observed(engine, series):
    """What the kind sees in candles of a minute; nothing for kinds that do not look."""
    if engine.kind.observe is None:
        return NOTHING_SEEN
    # Each follows from its own candle alone, as hypothesis made it up; some are missing.
    cents = np.round(series.close * 100)
    made = np.where(cents % 10 == 3, np.nan, cents * 0.6180339887 % 1.0)
    columns = dict.fromkeys(engine.kind.columns(engine.params), made)
    return engine.kind.observe(engine.params, series, 60, columns)


def led(engine, series, cut=slice(None)):
    """Steps of a run through a part of a series that its kind has seen whole."""
    return step(engine, series[cut], observed(engine, series)[cut])


def same(first, second) -> bool:
    return first.tobytes() == second.tobytes()


def test_every_kind_has_parameters_to_be_tested_with():
    assert set(PARAMS) == set(KINDS)


@every_kind
@given(data=st.data())
def test_prefix_the_first_bars_give_the_first_results(slug, data):
    """No look-ahead: what comes later changes nothing before it."""
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    cut = data.draw(st.integers(1, len(series)))
    whole, part = led(fresh(slug, params), series), led(fresh(slug, params), series[:cut])
    assert same(whole.trades[: len(part.trades)], part.trades)
    assert same(whole.notes[: len(part.notes)], part.notes)
    assert same(whole.equity[:cut], part.equity)


@every_kind
@given(data=st.data())
def test_resume_saved_and_restored_at_every_bar_gives_the_same(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    whole = fresh(slug, params)
    expected = led(whole, series)
    state, trades, notes = fresh(slug, params).save(), [], []
    for index in range(len(series)):
        engine = fresh(slug, params).restore(*state)
        steps = led(engine, series, slice(index, index + 1))
        trades.append(steps.trades)
        notes.append(steps.notes)
        state = engine.save()
    assert state == whole.save()
    assert same(np.concatenate(trades), expected.trades)
    assert same(np.concatenate(notes), expected.notes)


@every_kind
@given(data=st.data())
def test_idempotence_bars_that_were_seen_already_change_nothing(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    back = data.draw(st.integers(0, len(series)))
    engine = fresh(slug, params)
    led(engine, series)
    before = engine.save()
    again = led(engine, series, slice(back, None))
    assert not len(again.trades)
    assert not len(again.notes)
    assert engine.save() == before


@every_kind
@given(data=st.data())
def test_replay_the_ledger_follows_from_the_trades(slug, data):
    engine = fresh(slug, data.draw(PARAMS[slug]))
    trades = led(engine, data.draw(candles())).trades
    run = engine.run[0]
    assert run["fills"] == len(trades)
    assert run["fees"] == pytest.approx(trades["fee"].sum(), abs=1e-9)
    assert run["position"] == pytest.approx((trades["side"] * trades["amount"]).sum(), abs=1e-9)
    spent = (trades["side"] * trades["price"] * trades["amount"] + trades["fee"]).sum()
    assert run["cash"] == pytest.approx(MONEY - spent, rel=1e-9, abs=1e-9)
    assert run["realized"] == pytest.approx(trades["realized"].sum(), abs=1e-6)


@every_kind
@given(data=st.data())
def test_conservation_the_exact_book_adds_up(slug, data):
    """In Decimal, to the last unit: money in = money out + fees + what is held, and nothing has odd digits."""
    engine = fresh(slug, data.draw(PARAMS[slug]))
    book, spent, fees = Book(Decimal(10_000)), Decimal(0), Decimal(0)
    for trade in led(engine, data.draw(candles())).trades:
        price, amount = to_decimal(trade["price"], Decimal("0.01")), to_decimal(trade["amount"], Decimal("0.001"))
        fee = to_decimal(trade["fee"], Decimal("1e-8"))
        assert float(price) == trade["price"]
        assert float(amount) == trade["amount"]
        book.apply(int(trade["side"]), price, amount, fee)
        spent += int(trade["side"]) * price * amount
        fees += fee
    assert book.cash == 10_000 - spent - fees
    assert float(book.position) == engine.run["position"][0]
    # Everything that was ever locked in is cash, fees, or the cost of what is still held; a short's was received.
    cost = book.cost if book.position >= 0 else -book.cost
    assert book.cash + book.fees + cost - book.realized == 10_000


@every_spot_kind
@given(data=st.data())
def test_a_bot_never_spends_more_than_its_allocation_nor_sells_what_it_has_not(slug, data):
    engine = fresh(slug, data.draw(PARAMS[slug]))
    trades = led(engine, data.draw(candles())).trades
    cash = MONEY - np.cumsum(trades["side"] * trades["price"] * trades["amount"] + trades["fee"])
    assert (cash >= -1e-5).all()
    assert (np.cumsum(trades["side"] * trades["amount"]) >= -1e-9).all()


@every_spot_kind
@given(data=st.data())
def test_spot_kinds_trade_on_margin_as_on_spot(slug, data):
    """At leverage 1, long only. One that ends and would keep what it holds closes it on margin."""
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    engines = [fresh(slug, params, terms) for terms in (TERMS, MARGIN_TERMS)]
    on_spot, on_margin = (led(engine, series).trades for engine in engines)
    for name in ("time", "side", "price", "amount", "fee"):
        assert same(on_spot[name], on_margin[name][: len(on_spot)])
    if len(on_margin) > len(on_spot):
        assert len(on_margin) == len(on_spot) + 1
        assert engines[1].run["status"][0] == STOPPED
        assert engines[1].run["position"][0] == 0.0


@every_margin_kind
@given(data=st.data())
def test_on_margin_no_loss_exceeds_the_allocation_and_liquidation_is_the_end(slug, data):
    engine = fresh(slug, data.draw(PARAMS[slug]))
    steps = led(engine, data.draw(candles()))
    assert (steps.equity >= -1e-6).all()
    if LIQUIDATION in steps.trades["type"]:
        assert steps.trades["type"][-1] == LIQUIDATION
        assert engine.run["status"][0] == STOPPED
        assert engine.run["position"][0] == 0.0
        assert not engine.orders["type"].any()


@every_kind
@given(data=st.data())
def test_every_fill_lies_within_its_bar(slug, data):
    series = data.draw(candles())
    trades = led(fresh(slug, data.draw(PARAMS[slug])), series).trades
    bar = np.searchsorted(series.time, trades["time"])
    limits = trades["type"] == LIMIT
    assert (series.time[bar] == trades["time"]).all()
    assert (trades["price"][limits] >= series.low[bar][limits]).all()
    assert (trades["price"][limits] <= series.high[bar][limits]).all()
    better = trades["side"] * (trades["limit"] - trades["price"])
    assert (better[limits] >= 0).all(), "a limit order never fills at a worse price than its own"


@every_kind
@given(data=st.data())
def test_working_orders_are_affordable_on_their_tick_and_lot_and_not_crossed(slug, data):
    engine = fresh(slug, data.draw(PARAMS[slug]))
    led(engine, data.draw(candles()))
    wanted = engine.orders[engine.wanted()]
    price, run = engine.run["price"][0], engine.run[0]
    limits = wanted[wanted["type"] == LIMIT]
    buys, sells = limits[limits["side"] == BUY], limits[limits["side"] == SELL]
    stops = wanted[(wanted["type"] == STOP) | (wanted["type"] == TRAIL)]
    assert (buys["price"] < price).all()
    assert (sells["price"] > price).all()
    assert ((stops["price"] - price) * stops["side"] > 0).all()
    if not engine.kind.margin:
        assert (buys["price"] * buys["amount"]).sum() <= run["cash"] + 1e-5
        assert sells["amount"].sum() <= run["position"] + 1e-9
    assert len(set(wanted["sequence"])) == len(wanted)
    for order in limits:
        assert float(to_decimal(order["price"], Decimal("0.01"))) == order["price"]
        assert float(to_decimal(order["amount"], Decimal("0.001"))) == order["amount"]


@pytest.mark.parametrize("slug", ["grid", "infinity_grid"])
@given(data=st.data())
def test_a_grid_can_always_pay_for_what_it_wants(slug, data):
    """Its money is shared out at the start: no order is ever refused, neither when placed nor when filled."""
    steps = step(fresh(slug, data.draw(PARAMS[slug])), data.draw(candles()))
    assert not (set(steps.notes["code"].tolist()) - set(KINDS[slug].notes))


def test_state_of_another_layout_is_refused():
    engine = fresh("grid", {"lower": 90, "upper": 110, "lines": 5})
    run, orders = engine.save()
    with pytest.raises(ValueError, match="saved state has"):
        engine.restore(run[:-8], orders)
    engine.run["version"] = 99
    saved = engine.save()
    with pytest.raises(ValueError, match="saved state has version 99"):
        engine.restore(*saved)
