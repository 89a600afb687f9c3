"""Rows of the tables that hold what all bots of an owner have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.utils.safestring import SafeString

from bots.models import Bot, Order, Position
from dashboard import formats, rows
from markets.models import Market


class OwnerOrderRow(NamedTuple):
    bot: Bot
    market: Market
    order: rows.OrderRow
    status: str


def order_rows(orders: Iterable[Order], now: datetime) -> list[OwnerOrderRow]:
    """Orders with bot and market selected."""
    return [
        OwnerOrderRow(order.bot, order.market, rows.order_row(order, order.market, now), order.status)
        for order in orders
    ]


class OwnerPositionRow(NamedTuple):
    pk: int
    position: rows.PositionRow
    realized: SafeString
    closed: SafeString


def position_rows(positions: Iterable[Position], now: datetime) -> list[OwnerPositionRow]:
    """Positions with bot and market selected; realized in quote, less fees."""
    return [
        OwnerPositionRow(
            position.pk,
            rows.position_row(position, now),
            formats.money_change((position.realized - position.fees) or None, position.market.quote),
            formats.when(position.closed_at, now),
        )
        for position in positions
    ]
