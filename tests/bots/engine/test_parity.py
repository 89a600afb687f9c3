"""Live decides as backtest and paper do: on a desk of the simulated exchange, every kind trades the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bots.engine.simulate import Funding, step
from bots.engine.types import FUNDING
from tests.bots.engine.listening import listening
from tests.bots.engine.made_up import (
    MARGIN_TERMS,
    PARAMS,
    candles,
    every_kind,
    fresh,
    led,
    observed,
    same,
)


@every_kind
@given(data=st.data())
def test_live_trades_and_remembers_byte_for_byte_what_the_backtest_does(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    engine = fresh(slug, params)
    expected = led(engine, series)
    live = listening(slug, params, series).run()
    trades, _ = live.result()
    assert same(trades, expected.trades)
    assert live.engine.save() == engine.save()


@st.composite
def funding(draw, series):
    """Rates that settle with some of the candles, two with one at times."""
    picked = draw(st.lists(st.sampled_from(series.time.tolist()), min_size=1, max_size=8))
    rates = draw(st.lists(st.sampled_from([0.0, 0.0001, -0.0003, 0.02]), min_size=len(picked), max_size=len(picked)))
    return Funding(np.sort(np.array(picked, np.int64)), np.array(rates))


@every_kind
@given(data=st.data())
def test_live_pays_the_funding_of_the_backtest_byte_for_byte(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    rates = data.draw(funding(series))
    engine = fresh(slug, params, MARGIN_TERMS)
    expected = step(engine, series, observed(engine, series), rates)
    live = listening(slug, params, series, terms=MARGIN_TERMS, funding=rates).run()
    booked, _ = live.result()
    assert same(booked[booked["type"] != FUNDING], expected.trades)
    assert same(booked[booked["type"] == FUNDING], expected.payments)
    assert live.engine.save() == engine.save()
