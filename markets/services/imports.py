"""Candles of a file into the database: all of them or none, the same file twice changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import connection, transaction

from markets import candles as store
from markets import funding, gateway, imports, rate_files
from markets.history import Span
from markets.imports import ImportRefused, Reading
from markets.models import Exchange, Feed, Market
from markets.services import prices, quality
from markets.simulated import real_ms
from markets.surface import USUAL_LEVERAGE, usual_maintenance
from orchestrator import notify

_SYMBOL = re.compile(r"(?P<base>[A-Z0-9]{1,20})/(?P<quote>[A-Z0-9]{1,20})(?P<settle>:[A-Z0-9]{1,20})?")
# From here on the planner's statistics are worth the fraction of a second they take.
_MANY = 10_000


class BadRows(ImportRefused):
    """Rows that cannot be true, and nothing stored; `reading` has the account of them."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(
            f"{reading.bad} of {reading.rows} rows are bad and nothing was stored; --skip-bad leaves them out."
        )
        self.reading = reading


class Target(NamedTuple):
    exchange: str
    symbol: str
    timeframe: int
    create: bool


class Imported(NamedTuple):
    reading: Reading
    stored: int
    unchanged: int
    tick: Decimal
    lot: Decimal


def import_candles(path: Path, target: Target, skip_bad: bool, clock: Callable[[], int] = real_ms) -> Imported:
    """Store the candles of a file in one transaction.

    Raises ImportRefused when the file or the target is not what it should be, BadRows when a row is not and
    skip_bad is not set; then nothing is stored.
    """
    reading = Reading(target.timeframe, now=clock())
    symbol = _parsed(target)
    with transaction.atomic():
        existing = _existing(target)
        # The market's id is not known before the data's decimals are: the rows wait under 0.
        store.stage(_packed(path, reading))
        if reading.bad and not skip_bad:
            raise BadRows(reading)
        if reading.first is None or reading.last is None:
            raise ImportRefused(f"{path} has no candles.")
        market = existing or _create(target, symbol, reading)
        stored = store.merge(Span(market.pk, reading.timeframe, reading.first, reading.last))
        feed = _advance_feed(market, reading)
        if stored:
            quality.inspect_stored(feed, reading.first, reading.last)
    if stored > _MANY:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE markets_candle")
    return Imported(reading, stored, reading.rows - reading.bad - stored, market.tick, market.lot)


def _packed(path: Path, reading: Reading) -> Iterator[bytes]:
    for candles in imports.read(path, reading):
        yield store.packed(0, reading.timeframe, candles)


def _parsed(target: Target) -> re.Match[str]:
    try:
        validate_slug(target.exchange)
    except ValidationError:
        raise ImportRefused(
            f"exchange must be a slug of letters, digits, - and _, not {target.exchange[:60]!r}."
        ) from None
    symbol = _SYMBOL.fullmatch(target.symbol)
    if not symbol:
        raise ImportRefused(f"market must be BASE/QUOTE or BASE/QUOTE:SETTLE, not {target.symbol[:60]!r}.")
    return symbol


def _existing(target: Target) -> Market | None:
    found = Market.objects.filter(exchange__slug=target.exchange, symbol=target.symbol).first()
    if not found and not target.create:
        raise ImportRefused(f"There is no market {target.symbol} on {target.exchange!r}; --create makes it.")
    return found


def _create(target: Target, symbol: re.Match[str], reading: Reading) -> Market:
    exchange, _ = Exchange.objects.get_or_create(
        slug=target.exchange, defaults={"name": target.exchange, "ccxt_id": gateway.FILE}
    )
    market, _ = Market.objects.get_or_create(
        exchange=exchange,
        symbol=target.symbol,
        defaults={
            "base": symbol["base"],
            "quote": symbol["quote"],
            "type": "swap" if symbol["settle"] else "spot",
            "max_leverage": USUAL_LEVERAGE if symbol["settle"] else 1,
            "maintenance_rate": usual_maintenance(USUAL_LEVERAGE) if symbol["settle"] else 0,
            "tick": reading.tick,
            "lot": reading.lot,
        },
    )
    return market


def _advance_feed(market: Market, reading: Reading) -> Feed:
    """The feed says how far the candles reach. One made here is not asked for by sync, and forgets nothing."""
    feed, _ = Feed.objects.get_or_create(
        market=market, timeframe=reading.timeframe, defaults={"enabled": False, "keep_days": 0}
    )
    if feed.synced_to is None or (reading.last is not None and feed.synced_to < reading.last):
        feed.synced_to = reading.last
        feed.save(update_fields=["synced_to"])
    prices.record_from_candles([feed])
    notify.changed([notify.market_topic(market.pk)])
    return feed


class ImportedRates(NamedTuple):
    rows: int
    stored: int
    unchanged: int


def import_funding(path: Path, exchange: str, symbol: str) -> ImportedRates:
    """Store the funding rates of a file in one transaction. Raises ImportRefused; then nothing is stored."""
    market = Market.objects.filter(exchange__slug=exchange, symbol=symbol).first()
    if market is None:
        raise ImportRefused(f"There is no market {symbol} on {exchange!r}; import its candles first.")
    if market.type != "swap":
        raise ImportRefused(f"market must be a swap, as BASE/QUOTE:SETTLE, not {symbol}: spot has no funding.")
    rates = rate_files.read(path)
    with transaction.atomic():
        stored = funding.upsert(market.pk, rates)
    return ImportedRates(len(rates), stored, len(rates) - stored)
