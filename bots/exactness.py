"""Amounts that a float64 still holds to the lot. Pure.

The engine counts amounts in float64, which is exact up to 2^53 lots (markets/precision.py); beyond it two sums of the
same fills may differ by a lot, and with them a backtest and an exchange. So no bot is set to hold that many.
"""

from __future__ import annotations

from typing import Any, Final

from bots.engine.types import Terms
from bots.kinds.parameters import Problems

# The price may fall to a sixty-fourth of what it was when the bot was set up before an amount is not exact any more.
MOST_LOTS: Final = 2**53 // 64
# Parameters that are prices at which a kind may still buy.
_LOWEST: Final = ("lower", "trailing_down_stop")


def check(params: Any, terms: Terms, allocation: float, price: float | None) -> Problems:
    """A sentence when the allocation buys more lots than a float holds; price: quote, None where it is not known."""
    named = [getattr(params, name, None) for name in _LOWEST]
    prices = [one for one in (price, *named) if one]
    if not prices or terms.lot <= 0.0:
        return {}
    at, money = min(prices), allocation * getattr(params, "leverage", 1.0)
    lots = money / at / terms.lot
    if lots <= MOST_LOTS:
        return {}
    return {
        "allocation": f"allocation must buy at most {MOST_LOTS:.3g} lots of {terms.lot:.15g}, not {lots:.3g} "
        f"({money:.15g} at a price of {at:.15g}): such amounts are not exact. "
        f"It may be at most {allocation * MOST_LOTS / lots:.3g}."
    }
