"""Where the lines of a grid are, inside its range and beyond."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import kernel
from bots.kinds.grid.layout import BELOW, GEOMETRIC, LINES, LOWER, TABLE, UPPER
from markets.precision import round_to_step


@kernel
def line_at(lower: float, upper: float, cells: int, geometric: bool, number: float, tick: float) -> float:
    """Price of line `number`, 0 at the lower price, `cells` at the upper, rounded to the tick.

    Arithmetic p_i = L + i (U − L) / n, geometric p_i = L (U / L)^(i / n), n = cells.
    """
    part = number / cells
    price = lower * (upper / lower) ** part if geometric else lower + (upper - lower) * part
    return float(round_to_step(price, tick))


@kernel
def line(setup: Any, params: Any, number: int) -> float:
    """Price of a line: from the table, or beyond its upper end computed."""
    at = TABLE + int(params[BELOW]) + number
    if at < len(params):
        return float(params[at])
    cells = int(params[LINES]) - 1
    return float(line_at(params[LOWER], params[UPPER], cells, params[GEOMETRIC] != 0.0, float(number), setup["tick"]))
