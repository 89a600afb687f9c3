from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.blocks import BLOCK, block_candles, blocks, closed_rows, columns, starts
from markets.indicators import INDICATORS, compute
from markets.series import Candles
from tests.markets.conftest import made_candles

SPAN = BLOCK * 60_000
# A block begins after 1000 candles.
START = 1_700_000_040_000 // SPAN * SPAN + SPAN - 1000 * 60_000


def holed(count, seed):
    """Candles of which some are missing, one by one and in long stretches."""
    random = np.random.default_rng(seed)
    keep = random.random(count) > 0.05
    for begin in random.integers(0, count, 3):
        keep[begin : begin + random.integers(1, 400)] = False
    whole = made_candles(count, START, seed=seed)
    return Candles(*(getattr(whole, name)[keep] for name in ("time", "open", "high", "low", "close", "volume")))


def same(one, other):
    return one.tobytes() == other.tobytes()


def test_blocks_begin_at_multiples_of_their_length_and_lead_by_time():
    candles = made_candles(BLOCK, START)
    assert starts(candles.time, 60, BLOCK).tolist() == [START + 1000 * 60_000 - SPAN, START + 1000 * 60_000]
    found = [(block.lead, block.first, block.end) for block in blocks(candles.time, 60, BLOCK, 30)]
    assert found == [(0, 0, 1000), (970, 1000, BLOCK)]


def test_no_candles_make_no_blocks():
    assert blocks(np.empty(0, np.int64), 60, BLOCK, 30) == []


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 4000))
def test_a_suffix_with_its_lead_gives_the_same_bits(name, seed, cut):
    candles, defaults = holed(6000, seed), INDICATORS[name].defaults
    memory = INDICATORS[name].memory(defaults)
    cut = min(cut, len(candles) - 1)
    needed = max(0, cut - BLOCK - memory)
    whole, part = (columns(name, defaults, some, 60, 60) for some in (candles, candles[needed:]))
    for output, column in whole.items():
        assert same(column[cut:], part[output][cut - needed :])


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), count=st.integers(1, 6000))
def test_a_prefix_gives_a_prefix(name, seed, count):
    candles, defaults = holed(6000, seed), INDICATORS[name].defaults
    part = columns(name, defaults, candles[:count], 60, 60)
    for output, column in columns(name, defaults, candles, 60, 60).items():
        assert same(column[:count], part[output])


@pytest.mark.parametrize("name", INDICATORS)
@pytest.mark.parametrize("period", [5, 50, 300])
def test_what_is_older_than_the_lead_counts_below_1e_9(name, period):
    """Against all candles there are, the ones before the lead included."""
    first = next(iter(INDICATORS[name].defaults))
    defaults = {**INDICATORS[name].defaults, first: period}
    candles = made_candles(20_000, START - 8000 * 60_000)
    found, plain = columns(name, defaults, candles, 60, 60), compute(name, candles, defaults)
    for output, column in found.items():
        apart = np.abs(column - plain[output])[9000:]
        assert apart.max() < 1e-9 * np.abs(column[9000:]).max()


def test_a_higher_candle_is_seen_from_the_close_that_ends_it():
    start = 1_700_000_000_000 // 300_000 * 300_000 - 120_000  # the last two minutes of a candle of five
    candles = made_candles(16, start)
    higher, rows = closed_rows(candles, 300, 60)
    assert higher.close.tolist() == [candles.close[6], candles.close[11]]
    assert rows.tolist() == [-1] * 6 + [0] * 5 + [1] * 5


def test_a_higher_candle_whose_end_is_missing_is_seen_at_the_next_candle():
    start = 1_700_000_000_000 // 300_000 * 300_000
    whole = made_candles(10, start)
    keep = np.arange(10) != 4
    candles = Candles(*(getattr(whole, name)[keep] for name in ("time", "open", "high", "low", "close", "volume")))
    assert closed_rows(candles, 300, 60)[1].tolist() == [-1, -1, -1, -1, 0, 0, 0, 0, 1]
    assert closed_rows(candles[:4], 300, 60)[1].tolist() == [-1] * 4


@given(seed=st.integers(0, 1000), count=st.integers(1, 3000))
def test_higher_candles_do_not_look_ahead(seed, count):
    candles = holed(3000, seed)
    higher, rows = closed_rows(candles, 900, 60)
    fewer, known = closed_rows(candles[:count], 900, 60)
    assert rows[:count].tolist() == known.tolist()
    seen = known[known >= 0]
    assert same(higher.close[seen], fewer.close[seen])
    closes = candles.time[:count][known >= 0] + 60_000
    assert (higher.time[seen] + 900_000 <= closes).all()


def test_blocks_of_a_high_timeframe_last_as_long_as_those_of_the_low_one():
    assert (block_candles(60, 60), block_candles(60, 14_400), block_candles(60, 86_400)) == (4096, 18, 3)
