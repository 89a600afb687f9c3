"""The compiled loop: runs and their bars in, trades, notes and equity out, the state carried along.

Idle bars cost two comparisons: a run keeps the nearest prices that can wake it, and looks ahead for the next bar at
which anything else is due. The loop takes a kind's functions as function pointers of fixed signatures, so it is
compiled once for all kinds, its machine code is cached on disk, and a new kind compiles only its own few functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bots.engine.kernel import entry, inlined, kernel
from bots.engine.ledger import equity, pay
from bots.engine.matching import most_fills, walk, watch
from bots.engine.prefetch import fetch
from bots.engine.protection import due_time, floor_of, judge, margin, open_day, release
from bots.engine.types import EXPECTED, NEVER, NEW, RUNNING, WORST

# Bars that are looked at together: several to an instruction. An index that cannot be negative (np.uint64) spares the
# question whether it counts from the end.
STRIDE = 8


@inlined
def next_signal(signals: Any, i: int, stop: int) -> int:
    """First bar from `i` on with a signal; `stop` for none before it."""
    if len(signals) == 0:
        return stop
    while i + STRIDE <= stop:
        found = 0
        for k in range(STRIDE):
            found |= signals[np.uint64(i + k)]
        if found != 0:
            break
        i += STRIDE
    while i < stop and signals[np.uint64(i)] == 0:
        i += 1
    return min(i, stop)


@inlined
def pass_strides(
    highs: Any, lows: Any, closes: Any, curve: Any, low: float, high: float, cash: float, position: float, i: int,
    stop: int,
) -> int:  # fmt: skip
    """Pass over strides of bars that all stay between two prices; returns the first bar of one that does not.

    The equity of that one is written too, and once more when its bars are stepped.
    """
    while i + STRIDE <= stop:
        quiet = True
        for k in range(STRIDE):
            at = np.uint64(i + k)
            quiet &= (lows[at] > low) & (highs[at] < high)
            curve[at] = cash + position * closes[at]
        if not quiet:
            break
        i += STRIDE
    return i


@inlined
def idle(run: Any, setup: Any, highs: Any, lows: Any, closes: Any, curve: Any, i: int, stop: int) -> int:
    """Pass over bars before `stop` at which nothing happens; returns the first one at which something may."""
    low, high, cash, position = run["wake_low"], run["wake_high"], run["cash"], run["position"]
    floor = floor_of(run, setup)
    if floor == -np.inf:
        i = pass_strides(highs, lows, closes, curve, low, high, cash, position, i, stop)
        while i < stop and lows[np.uint64(i)] > low and highs[np.uint64(i)] < high:
            curve[np.uint64(i)] = cash + position * closes[np.uint64(i)]
            i += 1
        return i
    while i < stop and lows[np.uint64(i)] > low and highs[np.uint64(i)] < high:
        worth = cash + position * closes[np.uint64(i)]
        if worth <= floor:
            break
        curve[np.uint64(i)] = worth
        i += 1
        if worth > run["peak"]:
            run["peak"] = worth
            floor = floor_of(run, setup)
    return i


@kernel
def copy_orders(source: Any, target: Any) -> None:
    for slot in range(len(source)):
        target[slot] = source[slot]


@inlined
def walk_bar(
    on_fill: Any,
    runs: Any,
    index: int,
    orders: Any,
    setup: Any,
    params: Any,
    notes: Any,
    trades: Any,
    spare: Any,
    spare_orders: Any,
    since: float,
    low: float,
    high: float,
    close: float,
) -> None:
    """Walk a bar along the path that is asked for: the expected one, or the worse or better of the two.

    spare, spare_orders: room for a run and its orders, to go back to what they were.
    """
    run = runs[index]
    up, bounds = close >= run["price"], setup["path"] != EXPECTED
    low_first = 0.0
    if bounds:
        spare[0] = run
        copy_orders(orders, spare_orders)
    # Low first, high first, then for good; in a loop, so that the machine code of a walk is there once.
    for attempt in range(0 if bounds else 2, 3):
        by_low = attempt == 0 or (attempt == 2 and up)
        first, second = (low, high) if by_low else (high, low)
        walk(on_fill, run, orders, setup, params, notes, trades, since, first, second, close)
        if attempt == 2:
            break
        if attempt == 0:
            low_first = equity(run, close)
        elif low_first != equity(run, close):
            up = (low_first < equity(run, close)) == (setup["path"] == WORST)
        runs[index] = spare[0]
        copy_orders(spare_orders[: len(orders)], orders)


@inlined
def open_bar(
    on_start: Any,
    run: Any,
    orders: Any,
    setup: Any,
    params: Any,
    notes: Any,
    trades: Any,
    price: float,
    rate: float,
) -> None:
    """What happens at the open of a bar before any order fills; rate: of the funding that is due at it."""
    if run["status"] == NEW:
        run["status"] = RUNNING
        run["price"] = price
        run["peak"] = setup["allocation"]
        open_day(run, setup)
        on_start(run, orders, setup, params, notes, price)
        watch(run, orders)
    open_day(run, setup)
    if 0 < run["held_until"] <= run["time"]:
        release(run, orders, notes)
        watch(run, orders)
    if rate != 0.0 and run["position"] != 0.0:
        pay(run, trades, price, rate, setup["fee_step"])
        margin(run, orders, setup)
        watch(run, orders)


@kernel
def first_unseen(run: Any, time: Any, closes: Any, curve: Any, i: int) -> int:
    """A bar that the run has seen already changes nothing."""
    while i < len(time) and run["status"] != NEW and time[i] <= run["time"]:
        curve[i] = equity(run, closes[i])
        i += 1
    return i


@kernel
def first_from(time: Any, i: int, due: int) -> int:
    """First bar from `i` on that opens at `due` or later; len(time) when there is none.

    Bars mostly follow each other at one distance, so a guess is right more often than not: it spares the search's way
    through memory that nothing else looks at.
    """
    if time[i] >= due:
        return i
    if i + 1 < len(time):
        distance = time[i + 1] - time[i]
        guess = i + (due - time[i] + distance - 1) // distance
        if guess < len(time) and time[guess - 1] < due <= time[guess]:
            return int(guess)
    return i + int(np.searchsorted(time[i:], due))


@inlined
def pass_idle(
    run: Any, setup: Any, time: Any, highs: Any, lows: Any, closes: Any, curve: Any, i: int, stop: int, funding: int
) -> int:
    """Pass over idle bars before `stop`; funding: when it is due next. Returns the first bar that is not idle.

    run["time"] stays behind: only the last bar's counts, and to look at the others' is a quarter of a wake's time.
    """
    due = due_time(run, setup, funding)
    if due != NEVER:
        stop = min(stop, first_from(time, i, due))
    done = idle(run, setup, highs, lows, closes, curve, i, stop)
    if done > i:
        run["price"] = closes[done - 1]
    return int(done)


@kernel
def rate_due(times: Any, rates: Any, paid: int, now: int) -> tuple[int, float]:
    """(payments up to now, the sum of the rates of those after `paid`)."""
    rate = 0.0
    while paid < len(times) and times[paid] <= now:
        rate += rates[paid]
        paid += 1
    return paid, rate


@inlined
def advance(
    on_start: Any,
    on_fill: Any,
    on_bar: Any,
    runs: Any,
    index: int,
    orders: Any,
    setup: Any,
    params: Any,
    notes: Any,
    trades: Any,
    time: Any,
    opens: Any,
    highs: Any,
    lows: Any,
    closes: Any,
    signals: Any,
    inputs: Any,
    funding_times: Any,
    funding_rates: Any,
    curve: Any,
    spare: Any,
    spare_orders: Any,
    first: int,
) -> int:
    """Step one run through its bars from `first`; returns the first bar not done, for want of room in the buffers.

    A bar that it has seen already is passed over. spare, spare_orders: as walk_bar() needs them.
    """
    run = runs[index]
    need = most_fills(len(orders)) + 2
    bars = len(time)
    width = len(inputs) // len(signals) if len(signals) > 0 else 0
    begin = i = first_unseen(run, time, closes, curve, first)
    paid = np.searchsorted(funding_times, run["time"], side="right") if run["status"] != NEW else 0
    signal = next_signal(signals, i, bars)
    following = next_signal(signals, signal + 1, bars)
    while i < bars:
        if run["status"] != NEW:
            funding = funding_times[paid] if paid < len(funding_times) else NEVER
            i = pass_idle(run, setup, time, highs, lows, closes, curve, i, signal, funding)
        if i == bars or len(trades) - run["trades"] < need or len(notes) - run["notes"] < need:
            break
        run["time"] = time[i]
        paid, rate = rate_due(funding_times, funding_rates, paid, time[i])
        open_bar(on_start, run, orders, setup, params, notes, trades, opens[i], rate)
        if lows[i] <= run["wake_low"] or highs[i] >= run["wake_high"]:
            since = run["price"]
            run["price"] = opens[i]
            walk_bar(
                on_fill, runs, index, orders, setup, params, notes, trades, spare, spare_orders, since, lows[i],
                highs[i], closes[i],
            )  # fmt: skip
        run["price"] = closes[i]
        told = signals[i] if i == signal else 0
        asked = (told != 0 or time[i] >= run["wake_time"]) and run["status"] == RUNNING
        if asked:
            on_bar(run, orders, setup, params, notes, told, inputs[i * width : (i + 1) * width])
        if judge(run, orders, setup, notes) or asked:
            watch(run, orders)
        curve[i] = equity(run, closes[i])
        i += 1
        if signal < i:
            signal, following = following, next_signal(signals, following + 1, bars)
            if following + 1 < bars:
                # The idle bars until then look at neither, so they would have to come from afar, which takes longer
                # than the bars until the next signal do.
                fetch(time, following)
                fetch(opens, following + 1)
    if i > begin:
        run["time"] = time[i - 1]
    return int(i)


@entry
def advance_many(
    on_start: Any,
    on_fill: Any,
    on_bar: Any,
    runs: Any,
    orders: Any,
    setups: Any,
    params: Any,
    notes: Any,
    trades: Any,
    spans: Any,
    time: Any,
    opens: Any,
    highs: Any,
    lows: Any,
    closes: Any,
    signals: Any,
    inputs: Any,
    funding_times: Any,
    funding_rates: Any,
    curve: Any,
    spare: Any,
    spare_orders: Any,
    run_at: int,
    bar_at: int,
) -> tuple[int, int]:
    """Step runs of one kind, each through its own bars, from a run and a bar of it on.

    Returns the run and the bar that could not be done for want of room in the buffers; (runs, 0) when all are done.
    The trades and notes of the runs lie one after the other; run["trades"] and run["notes"] count each one's own.
    """
    used_trades = used_notes = 0
    for r in range(run_at, len(runs)):
        span = spans[r]
        o, p, b, s = span["orders"], span["params"], span["bars"], span["signals"]
        bars_end, count = span["bars_end"], span["bars_end"] - b
        told = span["signals_end"] - s
        done = advance(
            on_start, on_fill, on_bar, runs, r, orders[o : span["orders_end"]], setups[r],
            params[p : span["params_end"]], notes[used_notes:], trades[used_trades:],
            time[b:bars_end], opens[b:bars_end], highs[b:bars_end], lows[b:bars_end], closes[b:bars_end],
            signals[s : s + told], inputs[span["inputs"] : span["inputs"] + told * span["width"]],
            funding_times[span["funding"] : span["funding_end"]], funding_rates[span["funding"] : span["funding_end"]],
            curve[span["curve"] : span["curve"] + count], spare, spare_orders, bar_at if r == run_at else 0,
        )  # fmt: skip
        if done < count:
            return r, done
        used_trades += runs[r]["trades"]
        used_notes += runs[r]["notes"]
    return len(runs), 0


@kernel
def no_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    """In the place of on_bar for kinds that react to fills alone."""
