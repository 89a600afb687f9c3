"""What commands are told by name: exchanges, markets, moments. A name that is none ends with a sentence."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from markets.models import Exchange, Market
from markets.series import timeframe_seconds
from orchestrator.commands import bad_input

EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)  # nothing was traded before the first block


def chosen_exchange(slug: str) -> Exchange:
    exchange = Exchange.objects.filter(slug=slug).first()
    if exchange is None:
        raise bad_input(f"There is no exchange {slug!r:.60}; manage.py add_exchange adds one.")
    return exchange


def chosen_market(exchange: Exchange, symbol: str) -> Market:
    market = Market.objects.filter(exchange=exchange, symbol=symbol).select_related("exchange").first()
    if market is None:
        raise bad_input(
            f"{exchange.name} has no market {symbol!r:.60}; manage.py sync_markets {exchange.slug} loads its list."
        )
    return market


def timeframe(name: str) -> int:
    """Seconds of a timeframe; for argparse."""
    try:
        return timeframe_seconds(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("timeframe ")) from None


def moment(text: str) -> int:
    """An ISO 8601 date or time, UTC unless it says otherwise, as ms; for argparse."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        sentence = f"must be a date such as 2026-01-31 or 2026-01-31T12:00, not {text[:40]!r}."
        raise argparse.ArgumentTypeError(sentence) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found < EARLIEST:
        raise argparse.ArgumentTypeError(f"must be {EARLIEST:%Y-%m-%d} or later, not {text[:40]!r}.")
    return int(found.timestamp() * 1000)
