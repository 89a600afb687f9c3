"""What the overview says of a book and of the markets, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from dashboard import formats
from dashboard.books import Book
from markets.models import Market


class ShareRow(NamedTuple):
    """width: percent of the bar, 0 to 100. market is 0 for the rest."""

    symbol: str
    market: int
    equity: str
    part: str
    value: str
    width: int


def share_rows(book: Book) -> list[ShareRow]:
    """The markets with most of a book's money, and what all others have together."""
    rows = [_share_row(book, one.symbol, one.market, one.equity, one.value) for one in book.shares]
    equity = book.equity - sum(one.equity for one in book.shares)
    value = book.net - sum(one.value for one in book.shares)
    return [*rows, _share_row(book, "All others", 0, equity, value)] if equity > book.equity * 1e-9 else rows


def _share_row(book: Book, symbol: str, market: int, equity: float, value: float) -> ShareRow:
    part = formats.share(equity, book.equity)
    return ShareRow(
        symbol,
        market,
        formats.money(equity, book.currency),
        formats.percent(part),
        formats.money(value, book.currency),
        round(100 * min(max(part or 0.0, 0.0), 1.0)),
    )


def exposure(book: Book) -> list[dict[str, Any]]:
    """How much of a book the market can move."""

    def figure(label: str, value: float, hint: str) -> dict[str, Any]:
        return {
            "label": label,
            "value": formats.money(value, book.currency),
            "note": formats.percent(formats.share(value, book.equity)),
            "hint": hint,
        }

    return [
        figure("Exposure", book.gross, "What all open positions are worth at the last price, long and short alike."),
        figure("Net", book.net, "Long positions less short ones."),
    ]


class MoverRow(NamedTuple):
    market: Market
    price: str
    change: SafeString


def mover_rows(markets: Iterable[Market]) -> list[MoverRow]:
    return [
        MoverRow(market, formats.price(market.last, market.tick), formats.percent_change(market.change_24h))
        for market in markets
    ]
