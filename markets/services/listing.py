"""The list of markets of an exchange."""

from __future__ import annotations

from django.db import transaction

from markets import gateway
from markets.models import Exchange, Market
from markets.surface import MarketInfo


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
