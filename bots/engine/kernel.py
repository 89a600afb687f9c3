"""How the engine's functions, and those of the kinds, are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


class Decorator(Protocol):
    def __call__(self, function: Function, /) -> Function: ...


# The caller of the loop holds every array until it returns, so nobody below has to count references to them. numba
# would, with two atomic instructions an array and call: a third of the time of a bar at which something happens.
# So what is compiled here makes no arrays of its own (numba refuses to compile it then). numba's stubs leave the
# option out. A function that is called through a pointer cannot raise: numba prints what it would have raised and goes
# on. So nothing here does: a division by zero gives infinity or NaN, which no order may be placed with (bots/risk.py).
_njit: Any = partial(numba.njit, cache=True, _nrt=False, error_model="numpy")
kernel: Decorator = _njit()
# For what every bar at which something happens goes through. An array is seven arguments to numba, so a call hands
# over thirty or forty, which takes longer than most of these functions. A kind's on_fill and on_bar are called through
# a wrapper, which would hand over all of them once more.
inlined: Decorator = _njit(forceinline=True)
# Called from Python, and long: other threads go on meanwhile.
entry: Any = _njit(nogil=True)
