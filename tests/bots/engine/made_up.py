"""Candles and parameters of every kind, as hypothesis makes them up, and runs led through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, step
from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.kinds.dca.params import safety_orders
from bots.kinds.parameters import ParamsError
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


def levels(draw) -> dict:
    """Where a grid's lines lie and how large its orders are."""
    lower = draw(st.sampled_from([60.0, 90.0, 97.0, 101.0]))
    return {
        "lower": lower,
        "upper": round(lower * draw(st.sampled_from([1.03, 1.2, 1.9])), 2),
        "lines": draw(st.integers(2, 12)),
        "spacing": draw(st.sampled_from(["arithmetic", "geometric"])),
        "size": draw(st.sampled_from(["base", "quote"])),
    }


@st.composite
def grid_params(draw) -> dict:
    params = levels(draw) | {
        "reinvest": draw(st.booleans()),
        "active_buys": draw(st.integers(0, 3)),
        "active_sells": draw(st.integers(0, 3)),
    }
    lowest, highest = params["lower"], params["upper"]
    step = (highest - lowest) * 1.9 / (params["lines"] - 1)
    if params["size"] == "quote" and draw(st.booleans()):
        params["trailing_up"] = True
        if draw(st.booleans()):
            highest = params["trailing_up_limit"] = round(highest + draw(st.sampled_from([1, 7])) * step, 2)
    if draw(st.booleans()) and lowest - 5 * step > 1.0:
        lowest = round(lowest - draw(st.sampled_from([1, 5])) * step, 2)
        params |= {"trailing_down": True, "trailing_down_stop": lowest}
    return params | conditions(draw, lowest * 0.97, highest * 1.03)


@st.composite
def infinity_grid_params(draw) -> dict:
    lower = draw(st.sampled_from([40.0, 90.0, 105.0]))
    params = {
        "lower": lower,
        "grid_profit": draw(st.sampled_from([0.6, 1.0, 7.0])),
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
    params = levels(draw) | {
        "direction": draw(st.sampled_from(["long", "short", "neutral"])),
        "leverage": draw(st.sampled_from([1, 2, 5, 15])),
        "open_position": draw(st.booleans()),
    }
    below, above = round(params["lower"] * 0.98, 2), round(params["upper"] * 1.02, 2)
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
