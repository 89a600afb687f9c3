"""The compiled loop: bars in, trades, notes and equity out, the state carried along.

Idle bars cost two comparisons: a run keeps the nearest prices that can wake it. The loop is compiled once for all
kinds: it takes a kind's functions as function pointers of fixed signatures, so its machine code is cached on disk and
a new kind compiles only its own few functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numba
from numba import njit, types
from numba.core import config

from bots.engine.ledger import equity
from bots.engine.matching import most_fills, walk, watch
from bots.engine.types import NEW, NOTE, ORDER, RUN, RUNNING, SETUP, TRADE

if TYPE_CHECKING:
    from bots.kinds.contract import Kind


@njit(cache=True, nogil=True)
def advance(
    on_start: Any,
    on_fill: Any,
    on_bar: Any,
    run: Any,
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
    inputs: Any,
    curve: Any,
    first: int,
) -> int:
    """Step through the bars from `first`; returns the first bar not done, for want of room in the buffers."""
    need = most_fills(len(orders)) + 1
    for i in range(first, len(time)):
        if len(trades) - run["trades"] < need or len(notes) - run["notes"] < need:
            return i
        run["time"] = time[i]
        if run["status"] == NEW:
            run["status"] = RUNNING
            run["price"] = opens[i]
            on_start(run, orders, setup, params, notes, opens[i])
            watch(run, orders)
        if lows[i] <= run["wake_low"] or highs[i] >= run["wake_high"]:
            since = run["price"]
            run["price"] = opens[i]
            walk(on_fill, run, orders, setup, params, notes, trades, since, lows[i], highs[i], closes[i])
            watch(run, orders)
        run["price"] = closes[i]
        if time[i] >= run["wake_time"] and run["status"] == RUNNING:
            on_bar(run, orders, setup, params, notes, inputs[i])
            watch(run, orders)
        curve[i] = equity(run, closes[i])
    return len(time)


@njit(cache=True)
def no_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, inputs: Any) -> None:
    """In the place of on_bar for kinds that react to fills alone."""


def _signatures() -> tuple[Any, Any, Any, Any]:
    """Of on_start, on_fill, on_bar and the loop."""
    run, setup = numba.from_dtype(RUN), numba.from_dtype(SETUP)
    orders, notes, trades = (types.Array(numba.from_dtype(dtype), 1, "C") for dtype in (ORDER, NOTE, TRADE))
    numbers = types.Array(types.float64, 1, "C", readonly=True)
    times = types.Array(types.int64, 1, "C", readonly=True)
    inputs = types.Array(types.float64, 2, "C", readonly=True)
    common = (run, orders, setup, numbers, notes)
    start = types.void(*common, types.float64)
    fill = types.void(*common, numba.from_dtype(TRADE))
    bar = types.void(*common, numbers)
    pointers = (types.FunctionType(start), types.FunctionType(fill), types.FunctionType(bar))
    columns = (times, numbers, numbers, numbers, numbers, inputs)
    loop = types.int64(*pointers, *common, trades, *columns, types.Array(types.float64, 1, "C"), types.int64)
    return start, fill, bar, loop


@lru_cache(maxsize=64)
def program(kind: Kind) -> Callable[..., int]:
    """The loop bound to a kind's functions, compiled on first use (from the cache on disk after set-up)."""
    functions = (kind.on_start, kind.on_fill, kind.on_bar or no_bar)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        for function, signature in zip((*functions, advance), _signatures(), strict=True):
            if signature.args not in function.overloads:
                function.compile(signature)
        # Else the loop would be compiled anew for every kind, past the cache.
        advance.disable_compile()
    return partial(advance, *functions)
