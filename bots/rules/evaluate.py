"""Rules over candles: where each is known to be true. Pure.

A value that is not known (warming up, or a division by zero) makes a condition unknown, and so does its negation:
nothing follows from it. `and` and `or` are those of Kleene's three-valued logic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias, cast

import numpy as np
from numba import njit, types
from numba.core import config
from numpy.typing import NDArray

from bots.rules import pieces
from bots.rules.pieces import Piece
from bots.rules.tree import (
    Arithmetic,
    Both,
    Compare,
    Comparison,
    Condition,
    Constant,
    Cross,
    Either,
    Not,
    Number,
    Source,
    compared,
    sources,
)
from markets.series import Candles
from markets.series import Column as Floats

Rules: TypeAlias = Sequence[Condition | None]
# Two numbers -> the signs of their difference at the bar before the first and at all, so that rules share them.
Signs: TypeAlias = Mapping[tuple[Number, Number], NDArray[np.int8]]
UNKNOWN: Final = 2
# Averages that are the same on paper differ by float noise; nearer than this part of them, numbers are equal.
NOISE: Final = 1e-12
MOST_RULES: Final = 7  # bits of a signal
STRIP: Final = 1 << 17  # bars whose signs are looked at together: every temporary stays in the processor's cache


@njit(cache=True, nogil=True)
def write_signs(left: Any, right: Any, signs: Any) -> None:
    """-1, 0 or 1 for each pair of numbers, UNKNOWN where one of them is NaN; int8, same shape."""
    for i in range(len(left)):
        difference = left[i] - right[i]
        room = NOISE * min(abs(left[i]), abs(right[i]))
        sign = np.int8(difference > room) - np.int8(difference < -room)
        signs[i] = UNKNOWN if np.isnan(difference) else sign


@cache
def _write_signs() -> Callable[[Floats, Floats, NDArray[np.int8]], None]:
    """Compiled for every kind of array at once, so that its machine code always comes from the disk."""
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        numbers = types.Array(types.float64, 1, "C", readonly=True)
        write_signs.compile((numbers, numbers, types.Array(types.int8, 1, "C")))
        write_signs.disable_compile()
    return cast(Callable[[Floats, Floats, NDArray[np.int8]], None], write_signs)


@njit(cache=True, nogil=True)
def mark(signs: Any, cases: int, bit: int, found: Any) -> None:
    """Set a bit where the sign before and the sign itself are among some cases; signs: one more than found."""
    for i in range(len(found)):
        case = int(signs[i] & 3) << 2 | int(signs[i + 1] & 3)
        found[i] |= (cases >> case & 1) << bit


def _cases(holds: Callable[[int, int], bool]) -> int:
    """Of a sign before and a sign, as mark() takes them: bit 4 * (before & 3) + (sign & 3)."""
    signs = (-1, 0, 1, UNKNOWN)
    return sum(1 << (4 * (before & 3) + (sign & 3)) for before in signs for sign in signs if holds(before, sign))


# (comparison, or whether a cross is upwards; known to be true or to be false) -> the cases in which it is.
TESTS: Final[Mapping[tuple[Comparison | bool, bool], int]] = {
    (">", True): _cases(lambda before, sign: sign == 1),
    (">", False): _cases(lambda before, sign: sign in (-1, 0)),
    ("<", True): _cases(lambda before, sign: sign == -1),
    ("<", False): _cases(lambda before, sign: sign in (0, 1)),
    (">=", True): _cases(lambda before, sign: sign in (0, 1)),
    (">=", False): _cases(lambda before, sign: sign == -1),
    ("<=", True): _cases(lambda before, sign: sign in (-1, 0)),
    ("<=", False): _cases(lambda before, sign: sign == 1),
    ("==", True): _cases(lambda before, sign: sign == 0),
    ("==", False): _cases(lambda before, sign: sign in (-1, 1)),
    ("!=", True): _cases(lambda before, sign: sign in (-1, 1)),
    ("!=", False): _cases(lambda before, sign: sign == 0),
    (True, True): _cases(lambda before, sign: before in (-1, 0) and sign == 1),
    (True, False): _cases(lambda before, sign: before == 1 or sign in (-1, 0)),
    (False, True): _cases(lambda before, sign: before in (0, 1) and sign == -1),
    (False, False): _cases(lambda before, sign: before == -1 or sign in (0, 1)),
}


def _distinct(rules: Rules, more: Sequence[Source] = ()) -> Iterator[Source]:
    return iter(dict.fromkeys([source for rule in rules if rule for source in sources(rule)] + list(more)))


def lead(rules: Rules, timeframe: int, more: Sequence[Source] = ()) -> int:
    """Candles of `timeframe` seconds that must be loaded before the first bar the rules are asked about.

    Raises ValueError with a sentence about a timeframe that cannot be made, and when it would be too many.
    """
    return pieces.lead(_distinct(rules, more), timeframe)


def signals(
    rules: Rules, candles: Candles, timeframe: int, columns: Mapping[str, Floats] | None = None
) -> NDArray[np.int8]:
    """Shape (n,): bit k is set where rule k is true at the close of the bar; None is never true.

    columns: more columns that rules may name, aligned with the candles. Raises ValueError for a timeframe that cannot
    be made.
    """
    return signals_and_values(rules, (), candles, timeframe, columns)[0]


def signals_and_values(
    rules: Rules,
    wanted: Sequence[Source],
    candles: Candles,
    timeframe: int,
    columns: Mapping[str, Floats] | None = None,
) -> tuple[NDArray[np.int8], Floats]:
    """The signals, and beside them the values of sources, shape (n, sources), NaN while warming up."""
    if len(rules) > MOST_RULES:
        raise ValueError(f"rules must be at most {MOST_RULES}, not {len(rules)}.")
    found, beside = np.zeros(len(candles), np.int8), np.empty((len(candles), len(wanted)))
    signs = _before(rules, len(candles))
    for rows, piece in pieces.pieces(_distinct(rules, wanted), candles, timeframe, {} if columns is None else columns):
        for (left, right), column in signs.items():
            _write_signs()(number(left, piece), number(right, piece), column[rows.start + 1 : rows.stop + 1])
        for at, source in enumerate(wanted):
            beside[rows, at] = piece[source]
    for start in range(0, len(candles), STRIP):
        strip = {pair: column[start : start + STRIP + 1] for pair, column in signs.items()}
        for bit, rule in enumerate(rules):
            if rule is not None:
                _add(rule, strip, bit, found[start : start + STRIP])
    return found, beside


def _before(rules: Rules, bars: int) -> Signs:
    """Room for 1 + bars signs of every pair that the rules compare, the first as of a bar when nothing is known."""
    nothing = {source: np.full(1, np.nan) for source in _distinct(rules)}
    signs = {pair: np.empty(1 + bars, np.int8) for rule in rules if rule for pair in compared(rule)}
    for (left, right), column in signs.items():
        _write_signs()(number(left, nothing), number(right, nothing), column[:1])
    return signs


def _add(rule: Condition, signs: Signs, bit: int, found: NDArray[np.int8]) -> None:
    """Set a bit where a condition is known to be true."""
    if isinstance(rule, Compare | Cross):
        _mark(rule, signs, True, bit, found)
    else:
        found |= holds(rule, signs) << bit


def _mark(rule: Compare | Cross, signs: Signs, truth: bool, bit: int, found: NDArray[np.int8]) -> None:
    test = TESTS[(rule.operator if isinstance(rule, Compare) else rule.above, truth)]
    mark(signs[(rule.left, rule.right)], test, bit, found)


def holds(rule: Condition, signs: Signs, truth: bool = True) -> NDArray[np.int8]:
    """1 where in a strip a condition is known to be true (or, with truth False, known to be false), else 0."""
    if isinstance(rule, Not):
        return holds(rule.condition, signs, not truth)
    if isinstance(rule, Both | Either):
        left, right = holds(rule.left, signs, truth), holds(rule.right, signs, truth)
        return left & right if isinstance(rule, Both) == truth else left | right
    found = np.zeros(len(next(iter(signs.values()))) - 1, np.int8)
    _mark(rule, signs, truth, 0, found)
    return found


def number(node: Number, piece: Piece) -> Floats:
    """At the bars of a piece. What is divided by zero is not known."""
    if isinstance(node, Constant):
        return np.full(next(iter(piece.values())).shape, node.value)
    if not isinstance(node, Arithmetic):
        return piece[node]
    left, right = number(node.left, piece), number(node.right, piece)
    with np.errstate(all="ignore"):
        if node.operator == "+":
            return left + right
        if node.operator == "-":
            return left - right
        if node.operator == "*":
            return left * right
        return np.where(right == 0.0, np.nan, left / right)
