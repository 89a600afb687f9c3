"""What a futures grid comes to before it is started: its orders, its margin, and where it would be liquidated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from bots.engine.types import BUY, EXPECTED, SELL, Limits, Terms, setup_of
from bots.kinds.futures_grid.cells import entry_line, first_side, need, passed, weight
from bots.kinds.futures_grid.layout import LINES, OPENS
from bots.kinds.margin import liquidation_price
from markets.precision import ceil_to_step, floor_to_step
from markets.series import Column

DIGITS = 6  # of a least allocation that is told


class Range(Protocol):
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...
    @property
    def direction(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Figures:
    """Amounts in base, money in quote. The liquidation prices hold once all entries that wait are filled.

    least_allocation: with which every order reaches the market's minimum. position: opened at the start, negative when
    short; its fee and margin. orders_margin: of the side whose waiting entries need more.
    """

    least_allocation: float
    smallest_amount: float
    largest_amount: float
    position: float
    opening_fee: float
    position_margin: float
    orders_margin: float
    liquidation_down: float | None
    liquidation_up: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell's first order."""

    side: int
    amount: float
    price: float
    fee: float
    at_once: bool


def fullest(params: Range) -> list[float]:
    """Prices to start at that take most margin: an end of the range, both for a neutral grid, and its middle.

    At the far end all cells enter at their own lines; at the near one all are opened at market.
    """
    return [params.lower, (params.lower + params.upper) / 2.0, params.upper]


def figures(vector: Column, terms: Terms, leverage: float, allocation: float, price: float) -> Figures:
    """Of a grid that starts at a price with so much money; vector: its parameters as vector() gives them."""
    vector.setflags(write=False)  # the type for which it is compiled already
    setup = setup_of(terms, Limits(), allocation, leverage, EXPECTED)[0]
    needed = float(need(vector, setup, price))
    entries = _entries(vector, terms, price, allocation / needed)
    opened = [entry for entry in entries if entry.at_once]
    waiting = {side: _value(entry for entry in entries if not entry.at_once and entry.side == side)
               for side in (BUY, SELL)}  # fmt: skip
    amounts = [entry.amount for entry in entries]
    return Figures(
        least_allocation=_upward(needed * _least_size(vector, terms, price)),
        smallest_amount=min(amounts),
        largest_amount=max(amounts),
        position=sum(entry.side * entry.amount for entry in opened),
        opening_fee=sum(entry.fee for entry in opened),
        position_margin=_value(opened) / leverage,
        orders_margin=max(waiting.values()) / leverage,
        liquidation_down=_liquidation(entries, BUY, allocation, terms),
        liquidation_up=_liquidation(entries, SELL, allocation, terms),
    )


def _entries(vector: Column, terms: Terms, price: float, size: float) -> list[Entry]:
    found = []
    for cell in range(int(vector[LINES]) - 1):
        side = first_side(vector, cell, price)
        amount = float(floor_to_step(size * weight(vector, cell, side), terms.lot))
        line = float(entry_line(vector, cell, side))
        at_once = bool(vector[OPENS] and passed(vector, cell, side, price))
        paid = price * (1.0 + side * terms.slippage) if at_once else line
        rate = terms.taker if at_once else max(terms.maker, terms.taker)
        found.append(Entry(side, amount, paid, amount * paid * rate, at_once))
    return found


def _value(entries: Any) -> float:
    return float(sum(entry.amount * entry.price for entry in entries))


def _least_size(vector: Column, terms: Terms, price: float) -> float:
    """The size at which every cell's order, rounded down to the lot, reaches the market's minimum."""
    least = 0.0
    for cell in range(int(vector[LINES]) - 1):
        side = first_side(vector, cell, price)
        amount = max(terms.min_amount, terms.lot, terms.min_cost / entry_line(vector, cell, side))
        least = max(least, float(ceil_to_step(amount, terms.lot)) / weight(vector, cell, side))
    return least


def _upward(money: float) -> float:
    """Rounded up to a few digits, so that what is told is enough."""
    if money <= 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(money)) + 1 - DIGITS)
    return float(ceil_to_step(money, step))


def _liquidation(entries: list[Entry], side: int, allocation: float, terms: Terms) -> float | None:
    """Where the exchange liquidates when all cells of a side have entered; None when it never does."""
    own = [entry for entry in entries if entry.side == side]
    position = side * sum(entry.amount for entry in own)
    cash = allocation - side * _value(own) - sum(entry.fee for entry in own)
    return liquidation_price(cash, position, terms.maintenance)
