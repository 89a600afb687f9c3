"""Where the DCA kind keeps its numbers: order slots, memory, parameter vector; and what it calls them.

Runs are stored with these numbers: new ones go to the end of their list.
"""

from __future__ import annotations

from typing import Final

from bots.engine.types import KIND_NOTE

TAGS: Final = (
    "", "base order", "safety order", "take profit", "stop loss", "target", "entry", "close", "beyond stop", "profit",
    "break-even",
)  # fmt: skip
BASE, SAFETY, TAKE_PROFIT, STOP_LOSS, TARGET, ENTRY, CLOSE, BEYOND_STOP, PROFIT, BREAK_EVEN = range(1, 11)

DEAL, TOO_DEAR, TRAILS, FINISHED, COOLS, DONE = range(KIND_NOTE, KIND_NOTE + 6)
TOO_CHEAP, EVENED, TOUCHED, RECOVERED, LOST, PART_SOLD = range(KIND_NOTE + 6, KIND_NOTE + 12)
NOTES: Final = {
    DEAL: "Deal {value} began at {price}.",
    TOO_DEAR: "The price {price} is above the highest price {value} for a deal: waiting.",
    TRAILS: "The target {value} is reached; following the high from here.",
    FINISHED: "Deal {value} is closed.",
    COOLS: "Cooling down for {value} s before the next deal.",
    DONE: "All deals are done; the bot ends.",
    TOO_CHEAP: "The price {price} is below the lowest price {value} for a deal: waiting.",
    EVENED: "The stop moved to break-even at {value}.",
    TOUCHED: "The stop at {value} is touched: it sells when candles close beyond it for as long as its timeout.",
    RECOVERED: "The price {price} is back above the stop at {value}: nothing sold.",
    LOST: "The stop loss closed the deal; the bot ends.",
    PART_SOLD: "Take-profit step {value} is done.",
}

# Order slots. Behind the safety orders: a slot for each take-profit step but the last, and the break-even alarm.
ENTRY_SLOT, EXIT_SLOT, STOP_SLOT, FIRST_SAFETY = range(4)

# Memory. 0 must mean "nothing yet" in each: a new entry holds 0 in runs stored before there was one.
(
    START_PRICE,  # of the base order
    FILLED,  # safety orders of the deal
    DEAL_FEES,  # quote paid to buy what the deal still holds
    DEALS_DONE,
    BASE_COST,  # quote of the base order's part of what the deal still holds
    GROWTH,  # what reinvested profits add to every size of the deal, a fraction
    STEPS_DONE,  # take-profit steps
    EVEN,  # 1 when the stop is at break-even
    BEYOND,  # 1 while the stop is touched and its timeout runs
    BEYOND_SINCE,  # open time of the first candle that closed beyond the stop, ms; 0 before
) = range(10)

# Parameter vector. Behind the head: deviations and sizes of the safety orders, targets and parts of the steps.
(
    V_BASE,
    V_COUNT,
    V_ACTIVE,
    V_STEPS,
    V_ON_BASE,
    V_TRAILING,
    V_LEAST_PROFIT,
    V_LOSS,
    V_TIMEOUT,
    V_LOSS_ENDS,
    V_EVEN_PROFIT,
    V_EVEN_STEP,
    V_COOLDOWN,
    V_DEALS,
    V_REINVEST,
    V_MIN_PRICE,
    V_MAX_PRICE,
    HEAD,
) = range(18)
