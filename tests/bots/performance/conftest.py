"""Curves and trades as the tests write them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from bots.book import Book
from bots.performance import Curve, Trades, metrics

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIRST = 1_704_067_200_000  # 2024-01-01
CAPITAL = 1000.0


def curve(equity, step=HOUR, first=FIRST, capital=CAPITAL, opened=100.0, closed=100.0):
    """A curve of bars without gaps."""
    time = first + step * np.arange(len(equity), dtype=np.int64)
    return Curve(time, np.array(equity, float), capital, step // 1000, opened, closed)


def executed(rows):
    """Trades of (time, change, price, fee, order); what they locked in comes from the exact ledger."""
    book = Book(Decimal(0))
    realized = [
        float(book.apply(1 if change > 0 else -1, Decimal(price), abs(Decimal(change)), Decimal(fee)))
        for _, change, price, fee, _ in rows
    ]
    times, changes, prices, fees, orders = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 5
    changes, fees = np.array(changes, float), np.array(fees, float)
    cost = np.abs(changes) * np.array(prices, float)
    return Trades(np.array(times, np.int64), changes, cost, fees, np.array(realized), np.array(orders, np.int64))


def measured(equity, rows=(), **options):
    """metrics() of a curve and trades."""
    return metrics(curve(equity, **options), executed(rows))
