"""Where a futures grid's numbers are: in its parameter vector, its memory and its slots; its tags and notes."""

from __future__ import annotations

from typing import Final

from bots.engine.types import KIND_NOTE

TAGS: Final = ("", "grid", "start", "trigger", "stop loss", "take profit", "close", "above", "below", "waiting")
GRID, START, TRIGGER, STOP_LOSS, TAKE_PROFIT, CLOSE, ABOVE, BELOW, WAITING = range(1, 10)

WAITS, STARTED, STOP_LOSS_HIT, TAKE_PROFIT_HIT, LEFT_ABOVE, LEFT_BELOW, CAME_BACK = range(KIND_NOTE, KIND_NOTE + 7)

# Of the parameter vector; the prices of the lines follow. DIRECTION: 1 long, -1 short, 0 neutral. LOW_EXIT, HIGH_EXIT:
# prices at which the bot ends, 0 for none.
LINES, QUOTE_SIZED, DIRECTION, OPENS, TRIGGER_PRICE, LOW_EXIT, HIGH_EXIT, TABLE = range(8)
# Of the memory. SIZE: base amount (or quote value) of an order; STARTED_AT: the price the cells were laid out for.
SIZE, PROFIT, CYCLES, STARTED_AT = range(4)
# Of the slots, behind those of the cells.
MARKET_SLOT, TRIGGER_SLOT, LOW_SLOT, HIGH_SLOT, ABOVE_SLOT, BELOW_SLOT, OWN_SLOTS = range(7)
