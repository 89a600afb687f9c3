"""Futures position: one position with leverage, long or short, with a ladder of profits and stops that protect it.

All exits are moves of the price in percent of the average entry. Stop loss, break-even stop and trailing stop are
alternatives: whichever comes first takes what the profits have left. When the position is gone, the bot enters again
or ends.
"""

from __future__ import annotations

from bots.kinds.contract import Kind
from bots.kinds.futures_position import layout
from bots.kinds.futures_position.orders import on_fill, on_start
from bots.kinds.futures_position.params import Params, check, slots, vector

KIND = Kind(
    slug="futures_position",
    label="Futures position",
    summary="Holds a position with leverage, long or short, with take profits, stop loss and trailing stop.",
    suits="Suits one planned trade with entry, targets and stop, long or short, repeated if wanted.",
    margin=True,
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=None,
    example={"take_profit_1": 2.0, "stop_loss": 1.0, "positions": 0},
    tags=layout.TAGS,
    reasons={
        "entry": "it enters as it was told to",
        "take profit": "the price reached a profit of the ladder",
        "stop loss": "the stop loss was touched",
        "break-even": "the price came back to where the fees are paid",
        "trailing stop": "the price turned from its best",
        "close": "the bot ended and closes its position",
    },
    notes={
        layout.WAITS: "Waiting for the price to reach {value}; it is {price}.",
        layout.ENTERED: "Entered; the average price is {value}.",
        layout.PROTECTED: "In profit at {price}: the stop is at break-even, {value}.",
        layout.TRAILS: "The trailing stop follows the price from {price} on.",
        layout.REFUSED: "The entry was refused at {price}; the bot ends.",
        layout.DONE: "All positions are done; the bot ends.",
    },
    warnings=frozenset({layout.REFUSED}),
)
