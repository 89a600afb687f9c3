"""Thousands of runs in one call, odd cuts, old states: always the result of one run alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.engine import simulate
from bots.engine.layouts import LAYOUTS
from bots.engine.loop import next_signal
from bots.engine.run import Engine
from bots.engine.simulate import Stretch, step, step_many
from bots.engine.types import BEST, EXPECTED, ORDER, RUN, WORST, Terms
from bots.kinds import KINDS
from tests.bots.conftest import GRID, bars, fills
from tests.bots.engine.made_up import MONEY, PARAMS, TERMS, candles, fresh, led, observed, same


@given(data=st.data())
def test_many_runs_at_once_do_what_each_does_alone(data):
    shared = data.draw(candles())
    runs = [(slug, data.draw(PARAMS[slug])) for slug in data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=2))]
    series = [shared if data.draw(st.booleans()) else data.draw(candles()) for _ in runs]
    alone = [fresh(*run) for run in runs]
    together = [fresh(*run) for run in runs]
    expected = [led(engine, one) for engine, one in zip(alone, series, strict=True)]
    stretches = [Stretch(one, observed(engine, one)) for engine, one in zip(together, series, strict=True)]
    for found, steps, engine, other in zip(step_many(together, stretches), expected, together, alone, strict=True):
        assert same(found.trades, steps.trades)
        assert same(found.notes, steps.notes)
        assert same(found.equity, steps.equity)
        assert engine.save() == other.save()


@given(signals=st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, -3]), max_size=40), data=st.data())
def test_the_next_signal_is_found_wherever_it_stands(signals, data):
    begin, stop = (data.draw(st.integers(0, len(signals))) for _ in range(2))
    given_ones = np.array(signals, np.int8)
    expected = next((at for at in range(begin, stop) if signals[at]), stop)
    assert next_signal(given_ones, begin, stop) == expected


def test_buffers_that_are_too_small_are_emptied_and_the_runs_go_on(monkeypatch):
    """Room for one bar: the loop stops again and again."""
    random = np.random.default_rng(3)
    prices = np.round(100 + np.cumsum(random.normal(0, 2, 4000)) % 10, 2)
    series = bars(*[(p, p + 3, p - 3, p + 1) for p in prices])
    kind, params = KINDS["grid"], KINDS["grid"].read(GRID)
    whole = [step(Engine.new(kind, params, Terms(), money), series) for money in (500.0, 1000.0, 2000.0)]
    monkeypatch.setattr(simulate, "ROOM", 2)
    monkeypatch.setattr(simulate, "BARS_A_TRADE", 1_000_000)
    engines = [Engine.new(kind, params, Terms(), money) for money in (500.0, 1000.0, 2000.0)]
    for found, expected in zip(step_many(engines, [Stretch(series)] * 3), whole, strict=True):
        assert len(expected.trades) > 2000
        assert same(found.trades, expected.trades)
        assert same(found.notes, expected.notes)


def test_a_kind_that_observes_is_not_stepped_blind():
    observing = next((kind for kind in KINDS.values() if kind.observe), None)
    if observing is None:
        pytest.skip("no kind observes")
    engine = Engine.new(observing, observing.read(observing.example), Terms(), 1000.0)
    with pytest.raises(ValueError, match="must observe the candles"):
        step(engine, bars((100, 100, 100, 100)))


def test_a_state_saved_by_the_first_version_goes_on():
    series = bars((100, 101, 94, 96), (96, 106, 95, 105), (105, 106, 89, 90), (90, 111, 90, 110))
    kind, params = KINDS["grid"], KINDS["grid"].read(GRID)
    whole = step(Engine.new(kind, params, TERMS, MONEY), series)
    engine = Engine.new(kind, params, TERMS, MONEY)
    step(engine, series[:2])
    old = [np.zeros(len(now), dtype) for now, dtype in zip((engine.run, engine.orders), LAYOUTS[1], strict=True)]
    for records, now in zip(old, (engine.run, engine.orders), strict=True):
        for name in records.dtype.names:
            records[name] = now[name]
    old[0]["version"] = 1
    assert (old[0].itemsize, old[1].itemsize) != (RUN.itemsize, ORDER.itemsize)
    restored = Engine.new(kind, params, TERMS, MONEY).restore(*(records.tobytes() for records in old))
    assert fills(step(restored, series[2:])) == fills(whole)[engine.run["fills"][0] :]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (EXPECTED, [("buy", 95.0, 10.0), ("sell", 100.0, 10.0), ("sell", 105.0, 10.0)]),
        (BEST, [("sell", 105.0, 10.0), ("buy", 100.0, 10.0), ("buy", 95.0, 10.0), ("sell", 100.0, 10.0)]),
        (WORST, [("buy", 95.0, 10.0), ("sell", 100.0, 10.0), ("sell", 105.0, 10.0)]),
    ],
)
def test_the_path_takes_the_extreme_that_leaves_more_or_less_first(path, expected):
    engine = Engine.new(KINDS["grid"], KINDS["grid"].read(GRID), Terms(), 3850.0, path=path)
    steps = step(engine, bars((100, 100, 100, 100), (100, 106, 94, 101)))
    assert fills(steps)[1:] == expected
