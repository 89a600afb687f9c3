"""A kind's functions bound to the compiled loop, as pointers that are resolved once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numba
from numba import types
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock

from bots.engine.loop import advance_many, no_bar
from bots.engine.types import NOTE, ORDER, RUN, SETUP, SPAN, TRADE

if TYPE_CHECKING:
    from bots.kinds.contract import Kind


class Pointer(types.WrapperAddressProtocol):
    """A compiled function as numba takes it; resolving a dispatcher anew on each call costs 0.3 ms."""

    def __init__(self, function: Any, signature: Any) -> None:
        self._function, self._signature = function, signature
        compiled = function.get_compile_result(signature)
        self._wrapper = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)

    def __wrapper_address__(self) -> int:
        return int(self._wrapper)

    def signature(self) -> Any:
        return self._signature


def signatures() -> tuple[Any, Any, Any, Any]:
    """Of on_start, on_fill, on_bar and the loop."""
    run, setup = numba.from_dtype(RUN), numba.from_dtype(SETUP)
    runs, orders, setups, notes, trades, spans = (
        types.Array(numba.from_dtype(dtype), 1, "C") for dtype in (RUN, ORDER, SETUP, NOTE, TRADE, SPAN)
    )
    numbers = types.Array(types.float64, 1, "C", readonly=True)
    times = types.Array(types.int64, 1, "C", readonly=True)
    signals = types.Array(types.int8, 1, "C", readonly=True)
    common = (run, orders, setup, numbers, notes)
    start = types.void(*common, types.float64)
    fill = types.void(*common, numba.from_dtype(TRADE))
    bar = types.void(*common, types.int64, numbers)
    pointers = (types.FunctionType(start), types.FunctionType(fill), types.FunctionType(bar))
    bars = (times, numbers, numbers, numbers, numbers)
    state = (runs, orders, setups, numbers, notes, trades, spans)
    curve = types.Array(types.float64, 1, "C")
    loop = types.UniTuple(types.int64, 2)(  # type: ignore[no-untyped-call]
        *pointers, *state, *bars, signals, numbers, times, numbers, curve, runs, orders, types.int64, types.int64
    )
    return start, fill, bar, loop


@lru_cache(maxsize=64)
def program(kind: Kind) -> Callable[..., tuple[int, int]]:
    """The loop bound to a kind's functions, compiled on first use (from the cache on disk after set-up)."""
    return bound(advance_many, kind, lambda: signatures()[-1])


def bound(loop: Any, kind: Kind, signature: Callable[[], Any]) -> Callable[..., Any]:
    """A loop, of the signature that is asked for, with a kind's functions as its first arguments, all compiled."""
    functions = (kind.on_start, kind.on_fill, kind.on_bar or no_bar)
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return partial(loop, *functions)
    pairs, whole = list(zip(functions, signatures(), strict=False)), signature()
    # Threads that come at once would find a loop that is closed to compilation before it was compiled for them.
    with global_compiler_lock:
        for function, own in pairs:
            if own.args not in function.overloads:
                function.compile(own)
        if whole.args not in loop.overloads:
            loop.compile(whole)
        # Else the loop would be compiled anew for every kind, past the cache.
        loop.disable_compile()
    pointers: Any = [Pointer(*pair) for pair in pairs]
    return partial(loop, *pointers)
