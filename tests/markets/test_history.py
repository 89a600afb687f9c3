"""Packed blocks say what the rows say, whoever writes meanwhile."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from markets import candles, history, packing
from markets.candles import reading, writing
from markets.history import BLOCK
from markets.models import Exchange, HistoryBlock, Market
from markets.series import Candles
from tests.markets.conftest import made_candles, real_candles
from tests.markets.test_candles import same

STEP = 60_000
START = 1_700_000_000_000 // (BLOCK * STEP) * (BLOCK * STEP)  # of a block


def decimals(count: int, start: int = START, seed: int = 1) -> Candles:
    """Candles as an exchange tells them."""
    made = made_candles(count, start=start, seed=seed)
    cents = [np.round(getattr(made, name), 2) for name in ("open", "high", "low", "close")]
    return Candles(made.time, *cents, np.round(made.volume, 5))


def rows(market, timeframe=60):
    """What is stored, without blocks."""
    return reading._rows(market.pk, timeframe, None, None, None)


def numbers():
    return sorted(HistoryBlock.objects.values_list("number", flat=True))


value = st.one_of(
    st.decimals("0.00000001", "10000", places=8).map(float),
    st.integers(1, 10**9).map(lambda cents: cents / 100),
    st.floats(1e-9, 1e15, allow_nan=False),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7e308, float("inf"), float("nan")]),
)


@given(values=st.lists(value, min_size=1, max_size=20), step=st.integers(1, 200), first=st.integers(0, 9))
def test_what_is_packed_is_unpacked_to_the_last_bit(values, step, first):
    time = START + (first + step * np.arange(len(values))) * STEP
    columns = [np.roll(np.array(values), shift) for shift in range(5)]
    given_ = Candles(time, *columns)
    data = packing.pack(given_, START, STEP)
    count = packing.head(data).length
    found = Candles(np.empty(count, np.int64), *(np.empty(count) for _ in range(5)))
    packing.unpack(data, START, STEP, found)
    assert found.time.tolist() == time.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(found, name).tobytes() == getattr(given_, name).tobytes()


def test_prices_of_an_exchange_take_half_the_room():
    real = real_candles("binance_BTCUSDT_1m_2024.csv.gz")[:BLOCK]
    assert len(packing.pack(real, int(real.time[0]), STEP)) < 0.45 * 48 * BLOCK


@pytest.mark.django_db(transaction=True)
def test_a_history_read_twice_comes_out_of_blocks_the_second_time(market):
    made = decimals(3 * BLOCK + 100)
    candles.upsert(market.pk, 60, made)
    assert same(candles.load(market.pk, 60), made)
    first = START // (BLOCK * STEP)
    assert numbers() == [first, first + 1, first + 2]  # the last one is not full
    assert same(candles.load(market.pk, 60), made)
    # Proof that it is the blocks which are read: rows taken away behind the store's back are still there.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM markets_candle WHERE time < %s", [int(made.time[50])])
    assert same(candles.load(market.pk, 60), made)


@pytest.mark.django_db(transaction=True)
def test_every_window_of_a_packed_history_is_the_window_of_its_rows(market):
    made = decimals(3 * BLOCK + 100, start=START + 77 * STEP)
    kept = Candles.joined([made[:900], made[1000 : BLOCK + 5], made[2 * BLOCK + 60 :]])
    candles.upsert(market.pk, 60, kept)
    candles.load(market.pk, 60)
    ends = [None, int(made.time[0]), int(made.time[950]), int(made.time[2 * BLOCK + 60]), int(made.time[-1]), START]
    for start in ends:
        for end in ends:
            for limit in (None, 10, BLOCK + 1, 2 * BLOCK):
                found = candles.load(market.pk, 60, start, end, limit)
                assert same(found, reading._rows(market.pk, 60, start, end, limit)), (start, end, limit)


@pytest.mark.django_db(transaction=True)
def test_a_revised_candle_forgets_its_block_and_no_other(market):
    made = decimals(3 * BLOCK)
    candles.upsert(market.pk, 60, made)
    candles.load(market.pk, 60)
    first = START // (BLOCK * STEP)
    assert numbers() == [first, first + 1]
    revised = dataclasses.replace(made[5:6], volume=made.volume[5:6] + 1)
    assert candles.upsert(market.pk, 60, revised) == 1
    assert numbers() == [first + 1]
    assert candles.load(market.pk, 60).volume[5] == made.volume[5] + 1
    assert candles.upsert(market.pk, 60, revised) == 0
    assert numbers() == [first, first + 1]


@pytest.mark.django_db(transaction=True)
def test_blocks_of_another_format_are_made_again(market, monkeypatch):
    made = decimals(2 * BLOCK)
    candles.upsert(market.pk, 60, made)
    candles.load(market.pk, 60)
    monkeypatch.setattr(packing, "FORMAT", packing.FORMAT + 1)
    assert same(candles.load(market.pk, 60), made)
    assert HistoryBlock.objects.get().format == packing.FORMAT


@pytest.mark.django_db(transaction=True)
def test_a_long_history_is_packed_in_several_transactions(market, monkeypatch):
    monkeypatch.setattr(history, "MOST_MADE", 2)
    made = decimals(5 * BLOCK + 1)
    candles.upsert(market.pk, 60, made)
    assert same(candles.load(market.pk, 60), made)
    assert len(numbers()) == 5


def test_inside_a_transaction_nothing_is_packed(market):
    made = decimals(2 * BLOCK + 1)
    candles.upsert(market.pk, 60, made)
    assert same(candles.load(market.pk, 60), made)
    assert numbers() == []


def test_candles_of_a_market_that_is_not_there_are_refused(db):
    with pytest.raises(Market.DoesNotExist, match="There is no market 404"):
        candles.upsert(404, 60, decimals(3))


@contextmanager
def meanwhile(act):
    """`act` in a thread with a connection of its own; joined, and its fault raised, at the end."""
    faults = []

    def run():
        try:
            act()
        except Exception as fault:  # a thread's exception would be lost
            faults.append(fault)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(30)
    assert faults == []
    assert not thread.is_alive()


def until_waiting(thread, kind):
    """Return when another connection waits for a lock of that kind."""
    with connection.cursor() as cursor:
        while thread.is_alive():
            # Not pg_stat_activity, which stands still within a transaction.
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = %s AND NOT granted", [kind])
            if cursor.fetchone()[0]:
                return
            thread.join(0.005)
    raise AssertionError("nothing had to wait")


@pytest.mark.django_db(transaction=True)
def test_no_block_is_made_of_rows_that_somebody_is_changing(market):
    made = decimals(2 * BLOCK + 1)
    candles.upsert(market.pk, 60, made)
    revised = dataclasses.replace(made[7:8], volume=made.volume[7:8] + 1)
    found = []
    with transaction.atomic():
        candles.upsert(market.pk, 60, revised)
        with meanwhile(lambda: found.append(candles.load(market.pk, 60))):
            pass  # another connection reads, and must not keep, what is being revised
    assert same(found[0], made)
    assert numbers() == []
    assert candles.load(market.pk, 60).volume[7] == revised.volume[0]


@pytest.mark.django_db(transaction=True)
def test_a_writer_waits_for_the_block_that_is_being_made_and_forgets_it(market):
    made = decimals(2 * BLOCK + 1)
    candles.upsert(market.pk, 60, made)
    revised = dataclasses.replace(made[7:8], volume=made.volume[7:8] + 1)
    first = START // (BLOCK * STEP)
    with transaction.atomic():
        # What load() does outside of a transaction, held open before its commit.
        history._load_and_make(market.pk, 60, first, first + 2)
        writer = meanwhile(lambda: candles.upsert(market.pk, 60, revised))
        thread = writer.__enter__()
        until_waiting(thread, "advisory")
    writer.__exit__(None, None, None)
    assert numbers() == [first + 1]
    assert candles.load(market.pk, 60).volume[7] == revised.volume[0]


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_the_same_new_candles_store_them_once(market):
    made = decimals(700)
    written = []
    with transaction.atomic():
        assert candles.upsert(market.pk, 60, made) == 700
        writer = meanwhile(lambda: written.append(candles.upsert(market.pk, 60, made)))
        thread = writer.__enter__()
        # The other sees no candle yet, adds its own, and has to wait for this transaction.
        until_waiting(thread, "transactionid")
    writer.__exit__(None, None, None)
    assert written == [0]
    assert same(rows(market), made)


@pytest.mark.django_db(transaction=True)
def test_readers_beside_writers_never_see_what_is_neither_before_nor_after(market):
    """Each write raises the volume of the same candles in three blocks at once: a reader finds them equal, always."""
    made = decimals(3 * BLOCK + 1)
    at = [5, BLOCK + 5, 2 * BLOCK + 5]
    candles.upsert(market.pk, 60, made)
    done = threading.Event()

    def write():
        try:
            for volume in range(1, 25):
                parts = [made[row : row + 1] for row in at]
                raised = [dataclasses.replace(part, volume=np.array([float(volume)])) for part in parts]
                candles.upsert(market.pk, 60, Candles.joined(raised))
        finally:
            done.set()

    candles.upsert(market.pk, 60, dataclasses.replace(made, volume=np.zeros(len(made))))
    reads = 0
    with meanwhile(write):
        last = 0.0
        while not done.is_set() or not reads:
            now, *others = candles.load(market.pk, 60).volume[at].tolist()
            assert others == [now, now]
            assert now >= last
            last, reads = now, reads + 1
    assert same(candles.load(market.pk, 60), rows(market))
    assert candles.load(market.pk, 60).volume[at].tolist() == [24.0] * 3


@pytest.mark.django_db(transaction=True)
@settings(max_examples=20, deadline=None)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["write", "revise", "forget"]), st.integers(0, 400), st.integers(1, 90)), max_size=8
    )
)
def test_whatever_is_done_to_the_rows_the_blocks_follow(acts):
    market = some_market()
    made = decimals(500, seed=3)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE markets_historyblock, markets_candle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "BLOCK", 64)
        patch.setattr(writing, "_MANY", 30)
        candles.upsert(market.pk, 60, made[100:400])
        candles.load(market.pk, 60)
        assert len(numbers()) > 3
        for act, first, count in acts:
            part = made[first : first + count]
            if act == "write":
                candles.upsert(market.pk, 60, part)
            elif act == "revise":
                candles.upsert(market.pk, 60, dataclasses.replace(part, volume=part.volume + count))
            else:
                candles.forget(market.pk, 60, int(part.time[0]), count)
            assert same(candles.load(market.pk, 60), rows(market))


def some_market():
    """A fixture of a function lives as long as all of hypothesis' examples."""
    exchange, _ = Exchange.objects.get_or_create(slug="blocks", defaults={"name": "Blocks", "ccxt_id": "simulated"})
    return Market.objects.get_or_create(
        exchange=exchange, symbol="A/B", defaults={"base": "A", "quote": "B", "tick": "1", "lot": "1"}
    )[0]
