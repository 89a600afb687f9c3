"""Futures grid: a grid on margin that may also hold a short, or either.

Convention of the count: `lines` counts price lines with both ends, so 20 lines make 19 grids (cells). The order size
follows from the allocation and the leverage: the largest one with which every order can always be placed again, the
price being anywhere in the grid. That is why more leverage gives less and less. At its stop loss or take profit it
closes its position: what is left on margin without a bot has nobody who watches its liquidation.
"""

from __future__ import annotations

from bots.kinds.contract import Kind
from bots.kinds.futures_grid import layout
from bots.kinds.futures_grid.orders import on_fill, on_start
from bots.kinds.futures_grid.params import Params, check, slots, vector

KIND = Kind(
    slug="futures_grid",
    label="Futures grid",
    summary="Buys low and sells high between two prices with leverage: long, short or neutral.",
    suits="Suits swings within a range with less money or a falling price; leverage brings a liquidation price.",
    margin=True,
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=None,
    example={"lower": 90.0, "upper": 110.0, "lines": 21},
    tags=layout.TAGS,
    reasons={
        "grid": "the price touched a grid line",
        "start": "the grids that the price has passed start filled",
        "close": "the bot ended and closes its position",
    },
    notes={
        layout.WAITS: "Waiting for the price to reach the trigger at {value}; it is {price}.",
        layout.STARTED: "Grid started at {price}.",
        layout.LEFT_ABOVE: "The price left the grid at the top, {value}: nothing trades until it is back.",
        layout.LEFT_BELOW: "The price left the grid at the bottom, {value}: nothing trades until it is back.",
        layout.CAME_BACK: "The price is back in the grid at {value}.",
        layout.STOP_LOSS_HIT: "Stop loss touched at {price}: all orders withdrawn, the bot ends.",
        layout.TAKE_PROFIT_HIT: "Take profit touched at {price}: all orders withdrawn, the bot ends.",
    },
    warnings=frozenset({layout.STOP_LOSS_HIT, layout.LEFT_ABOVE, layout.LEFT_BELOW}),
)
