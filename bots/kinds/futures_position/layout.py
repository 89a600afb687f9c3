"""Where a futures position's numbers are: in its parameter vector, its memory and its slots; its tags and notes."""

from __future__ import annotations

from typing import Final

from bots.engine.types import KIND_NOTE

RUNGS: Final = 4  # of the ladder of profits

TAGS: Final = (
    "", "entry", "trigger", "take profit", "stop loss", "break-even", "activation", "trailing stop", "close",
)  # fmt: skip
ENTRY, TRIGGER, TAKE_PROFIT, STOP_LOSS, BREAK_EVEN, ACTIVATION, TRAILING, CLOSE = range(1, 9)

WAITS, ENTERED, PROTECTED, TRAILS, REFUSED, DONE = range(KIND_NOTE, KIND_NOTE + 6)

# Of the parameter vector. SIDE: 1 long, -1 short. Distances and shares are fractions, 0 for none; the RUNGS distances
# of the ladder come last, their shares behind them.
SIDE, ENTRY_TYPE, ENTRY_PRICE, SIZE, LOSS, ARM, TRAIL_FROM, TRAIL_BY, POSITIONS, REINVEST, LADDER = range(11)
SHARES: Final = LADDER + RUNGS
AT_MARKET, AT_LIMIT, AT_TRIGGER = range(3)

# Of the memory. ENTERED_AMOUNT: base amount of all entries of the position; RUNGS_DONE: how many rungs it has left.
COUNT, ENTERED_AMOUNT, RUNGS_DONE = range(3)

# Slots. The rungs come behind.
ENTRY_SLOT, STOP_SLOT, TRAIL_SLOT, ARM_SLOT, FIRST_RUNG = range(5)
SLOTS: Final = FIRST_RUNG + RUNGS
