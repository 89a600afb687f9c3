"""Functions that are compiled in no time, two of which call the third."""

from __future__ import annotations

from numba import njit, types


@njit(cache=True)
def shared(number):
    return number + 1


@njit(cache=True)
def doubled(number):
    return 2 * shared(number)


@njit(cache=True)
def tripled(number):
    return 3 * shared(number)


def compile_part(number):
    (doubled, tripled)[number].compile((types.int64,))
