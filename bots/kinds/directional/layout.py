"""Where a directional kind's numbers are: the bits of its signals, its slots, vector and memory; tags and notes."""

from __future__ import annotations

from typing import Final

from bots.engine.types import KIND_NOTE

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8  # bits of a signal
TAGS: Final = (
    "", "long entry", "short entry", "exit", "reversal", "stop loss", "take profit", "trailing stop", "time limit",
    "activation", "close",
)  # fmt: skip
LONG, SHORT, EXIT, REVERSAL, STOP_LOSS, TAKE_PROFIT, TRAILING, TIME_LIMIT, ACTIVATION, CLOSE = range(1, 11)
NOT_KNOWN, COOLS_DOWN, IS_HELD, CONTRADICTS = range(KIND_NOTE, KIND_NOTE + 4)
TARGETS: Final = 4
REASONS: Final = {
    "long entry": "the entry rule was true",
    "short entry": "the entry rule was true",
    "exit": "the exit rule was true",
    "reversal": "the entry rule of the other side was true",
    "stop loss": "the stop loss was touched",
    "take profit": "a target was reached",
    "trailing stop": "the price turned by the trailing distance",
    "time limit": "the time limit was over",
    "close": "the bot ended and closes what it holds",
}
NOTES: Final = {
    NOT_KNOWN: "An entry was signalled at {price}, but the distance of its stop is not known yet: not entered.",
    COOLS_DOWN: "An entry was signalled at {price} during the cooldown: not entered.",
    IS_HELD: "An entry was signalled at {price} while entries are held: not entered.",
    CONTRADICTS: "Entries of both sides, or an entry and its exit, were signalled at {price}: not entered.",
}

# Slots. A market order enters or leaves.
TRADE_SLOT, STOP_SLOT, TRAIL_SLOT, TARGET_SLOT = range(4)
# Layout of the parameter vector; the ladder's targets, then its shares, stand at the end.
BY, QUOTE, EQUITY, RISK, LOSS, ATRS, ACTIVATE, DISTANCE, TIME, COOLDOWN, REVERSE, LADDER = range(12)
BY_QUOTE, BY_EQUITY, BY_RISK = range(3)
SIZES: Final = ("quote", "equity", "risk")
# Memory.
NEXT, ATR, ASKED, COOL_UNTIL, PRICE, SIZE = range(6)
