"""Exchanges, and the lists of their markets."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from markets import gateway
from markets.models import Exchange, Market
from markets.surface import GatewayError, MarketInfo


class ExchangeRefused(ValueError):
    """The exchange cannot be added; the message is a sentence."""


def add_exchange(slug: str, ccxt_id: str, config: Any, name: str = "") -> Exchange:
    """Store a new exchange that can be connected to; nothing is asked of it yet. Raises ExchangeRefused.

    config: merged into ccxt's constructor; name: ccxt's if empty.
    """
    exchange = Exchange(slug=slug, name=name or slug, ccxt_id=ccxt_id, ccxt_config=config)
    try:
        source = gateway.connect(exchange)
        exchange.name = name or getattr(source, "name", slug)
        exchange.full_clean()
    except GatewayError as error:
        raise ExchangeRefused(str(error)) from error
    except ValidationError as error:
        raise ExchangeRefused(_sentence(error, exchange)) from error
    exchange.save()
    return exchange


def _sentence(error: ValidationError, exchange: Exchange) -> str:
    field, (sentence, *_) = next(iter(error.message_dict.items()))
    return f"{field} {getattr(exchange, field, '')!r:.60} cannot be used: {sentence}"


def sync_markets(exchange: Exchange) -> int:
    """Create and update the exchange's markets from its own list; those no longer listed become inactive.

    Number of markets listed. Raises GatewayError.
    """
    listed = gateway.connect(exchange).fetch_markets()
    rows = [Market(exchange=exchange, **info._asdict()) for info in listed]
    with transaction.atomic():
        Market.objects.bulk_create(
            rows,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["exchange", "symbol"],
            update_fields=[name for name in MarketInfo._fields if name != "symbol"],
        )
        gone = Market.objects.filter(exchange=exchange).exclude(symbol__in=[info.symbol for info in listed])
        gone.update(active=False)
    return len(listed)
