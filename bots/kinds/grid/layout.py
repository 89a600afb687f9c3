"""Where a grid's numbers are: in its parameter vector, its memory and its slots; its tags and notes."""

from __future__ import annotations

from typing import Final

from bots.kinds import conditions

# Of the parameter vector behind the head of the conditions. The prices of the lines follow at TABLE, from the lowest
# line that trailing down may reach to the upper price. UP_LIMIT: highest price of the top line, 0 when it does not
# trail up. BELOW: how many lines trailing down may add.
(LINES, QUOTE_SIZED, REINVEST, BUYS, SELLS, UP_LIMIT, GEOMETRIC, LOWER, UPPER, BELOW, TABLE) = range(
    conditions.FIELDS, conditions.FIELDS + 11
)
# Of the memory. LOW, LINE: see cells.py. RISE: how many lines it trailed up. POOL: quote that reinvesting has left
# over. FIXED: 1 when it cannot trail up any more.
SIZE, PROFIT, CYCLES, LOW, RISE, LINE, POOL, FIXED = range(8)
EDGES: Final = 2  # slots at the end: alarms at the upper and the lower edge

TAGS: Final = conditions.tags("grid", "above", "below", "trailing up", "trailing down")
GRID = 1
ABOVE_EDGE, BELOW_EDGE, UP, DOWN = range(conditions.FIRST_TAG, conditions.FIRST_TAG + 4)
STARTED, LEFT_ABOVE, LEFT_BELOW, CAME_BACK, MOVED_UP, MOVED_DOWN, STAYS = range(
    conditions.FIRST_NOTE, conditions.FIRST_NOTE + 7
)
