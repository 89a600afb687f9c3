"""Live decides as backtest and paper do: on a desk of the simulated exchange, every kind trades the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.bots.engine.listening import listening
from tests.bots.engine.test_invariants import PARAMS, candles, every_kind, fresh, led, same


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
