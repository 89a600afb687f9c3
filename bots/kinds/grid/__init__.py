"""Grid: buy low and sell high between two prices, over and over.

Convention of the count: `lines` counts price lines with both ends, so 20 lines make 19 grids (cells). A cell buys at
its lower line and sells at its upper line. At the start the cells whose lower line is at or above the price are
bought at once; the others wait with a buy. The line right above the price therefore has no order.

Reinvesting: a sale buys again with all it brought, and with what earlier sales left over from rounding to the lot.
Every cell pays for itself, so the sizes grow by exactly what was earned and no order is ever short of money.

Trailing up moves the grid with a rising price and cancels the lowest buy; a stop loss by price keeps its distance to
the top. Trailing down adds lines below with money put aside at the start; the stop loss stays, and so do the lines.
"""

from __future__ import annotations

from typing import Final

from bots.kinds import conditions
from bots.kinds.contract import Kind
from bots.kinds.grid import layout, orders
from bots.kinds.grid.params import Params, check, lines_below, vector


def slots(params: Params) -> int:
    """One for each cell, those that trailing down may add included, then the edges and the conditions."""
    return params.lines - 1 + lines_below(params) + layout.EDGES + conditions.SLOTS


KIND: Final = Kind(
    slug="grid",
    label="Grid",
    summary="Buys low and sells high between two prices.",
    suits="Suits a price that swings sideways within a range. Left below it, it holds what it bought.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=orders.on_start,
    on_fill=orders.on_fill,
    on_bar=conditions.judge,
    example={"lower": 90.0, "upper": 110.0, "lines": 21},
    tags=layout.TAGS,
    reasons={
        "grid": "the price touched a grid line",
        "start": "the cells above the price start filled",
        "trailing down": "the grid follows the price down by a line",
        **conditions.REASONS,
    },
    notes={
        layout.STARTED: "Grid started at {price}: cells below it wait with buys, cells above it are bought now.",
        layout.LEFT_ABOVE: "The price left the grid at the top, {value}: everything is sold, it waits for the price to "
        "fall.",
        layout.LEFT_BELOW: "The price left the grid at the bottom, {value}: everything is bought, it waits for a rise.",
        layout.CAME_BACK: "The price is back in the grid at {value}.",
        layout.MOVED_UP: "The grid moved up a line, its top is {value}: a buy at the old top, the lowest is cancelled.",
        layout.MOVED_DOWN: "The grid grew down by a line, its bottom is {value}: one grid is bought at market.",
        layout.STAYS: "The grid stays where it is: at the top an order of {value} would be below the market's minimum.",
        **conditions.NOTES,
    },
    warnings=conditions.WARNINGS | {layout.LEFT_ABOVE, layout.LEFT_BELOW, layout.STAYS},
)
