"""System checks of what is stored; they run when database checks are asked for: manage.py check --database default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import DatabaseError

from markets import gateway
from markets.models import Exchange, Feed
from markets.surface import GatewayError

LATE_BARS = 3


def check_feeds(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """An enabled feed that has fallen more than three candles behind its exchange's clock."""
    if not databases:
        return []
    feeds = Feed.objects.alive()
    try:
        return [warning for exchange in Exchange.objects.with_feeds(feeds) for warning in _late(exchange)]
    except DatabaseError as error:
        sentence = str(error).strip().splitlines()[0]
        return [Warning(f"The feeds cannot be read: {sentence}", hint="Run manage.py migrate.", id="markets.W002")]


def _late(exchange: Exchange) -> list[CheckMessage]:
    try:
        now = gateway.connect(exchange).now_ms()
    except GatewayError as error:
        return [Warning(str(error), hint="Disable the exchange's feeds or correct it in the admin.", id="markets.W003")]
    feeds = Feed.objects.alive().filter(market__exchange=exchange).select_related("market")
    return [
        Warning(
            f"{feed.market.symbol} on {exchange.slug}: the last {feed.get_timeframe_display()} candle is more than "
            f"{LATE_BARS} candles old. {feed.error}".strip(),
            hint="Are worker and beat running? Feeds and their errors are listed in the admin.",
            obj=feed,
            id="markets.W001",
        )
        for feed in feeds
        if feed.synced_to is None or now - feed.synced_to > (LATE_BARS + 1) * feed.timeframe * 1000
    ]
