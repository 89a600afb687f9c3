"""Order books, mark prices and funding as they stand: fetched by a worker while somebody looks, kept for the pages.

Who shows them asks for them; what is asked for twice is fetched once, and not before the cache's policy says so.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.utils import timezone

from markets import gateway
from markets.models import Exchange, Market, Quotes
from markets.services import prices
from markets.surface import GatewayError, MarkPrice, Ticker
from orchestrator import cache, notify
from orchestrator.broker import UNREACHABLE
from orchestrator.sole import sole

logger = logging.getLogger(__name__)

TASK, LISTED_TASK = "markets.tasks.refresh_quotes", "markets.tasks.refresh_listed"
LEVELS = 100  # of a side
PATIENCE_S = 2.0  # for a turn in the exchange's budget: soon nobody looks any more
EXPIRES_S = 15  # a message that nobody took; whoever still looks has asked again
STALE_AFTER = 2  # times the policy's age: it is late, then
_LOCKS = 0x71756F74  # namespace: one worker an exchange, so that one which hangs cannot take all of them
_LAST_MS = 2**53


def ask(market_id: int) -> None:
    """Have a worker bring a market's quotes up to date; at once and without a word when the broker is away."""
    cache.fetch(cache.ASKED, f"quotes:{market_id}", 0, lambda: _sent(TASK, market_id))


def ask_listed(markets: Iterable[Market]) -> None:
    """The same of what a list shows: spreads, and the funding of swaps; one message an exchange.

    They come with their exchange and quotes.
    """
    now, wanted = timezone.now(), dict[int, list[int]]()
    for market in markets:
        if market.exchange.has_connection and (_is_funding_due(market, now) or _is_spread_due(market, now)):
            wanted.setdefault(market.exchange_id, []).append(market.pk)
    for ids in wanted.values():
        _ask_listed(sorted(ids))


def _ask_listed(ids: list[int]) -> None:
    digest = hashlib.blake2b(repr(ids).encode(), digest_size=16).hexdigest()
    cache.fetch(cache.ASKED, f"listed:{digest}", 0, lambda: _sent(LISTED_TASK, ids))


def _sent(task: str, argument: Any) -> bool:
    try:
        cache.ping()  # where it is known to be away, nobody waits for it
        current_app.send_task(task, [argument], expires=EXPIRES_S, retry=False)
    except (cache.Unreachable, *UNREACHABLE) as error:
        logger.warning("nobody is asked for quotes, Redis cannot be reached: %s", error)
        return False
    return True


def quotes_of(market: Market) -> Quotes | None:
    """Of a market that was read with its quote, or None while there is none."""
    return getattr(market, "quotes", None)


def _is_book_due(market: Market, now: datetime) -> bool:
    quotes = quotes_of(market)
    return _is_due(quotes.book_asked_at if quotes else None, cache.ORDER_BOOK, now)


def _is_funding_due(market: Market, now: datetime) -> bool:
    quotes = quotes_of(market)
    return market.type == "swap" and _is_due(quotes.funding_asked_at if quotes else None, cache.FUNDING, now)


def _is_spread_due(market: Market, now: datetime) -> bool:
    quotes = quotes_of(market)
    return _is_due(quotes.spread_asked_at if quotes else None, cache.TICKER, now)


def _is_due(asked_at: datetime | None, policy: cache.Policy, now: datetime) -> bool:
    return asked_at is None or now - asked_at >= timedelta(seconds=policy.seconds)


def is_stale(told_at: datetime | None, policy: cache.Policy, now: datetime) -> bool:
    """Whether what was told then is older than what is asked for regularly can be."""
    return told_at is not None and now - told_at > timedelta(seconds=STALE_AFTER * policy.seconds)


def refresh_quotes(market_id: int) -> bool:
    """Fetch what is due of a market's quotes; whether anything was asked for."""
    market = Market.objects.select_related("exchange", "quotes").filter(pk=market_id).first()
    if market is None or not market.exchange.has_connection:
        return False
    now = timezone.now()
    book_due, funding_due = _is_book_due(market, now), _is_funding_due(market, now)
    if not (book_due or funding_due):
        return False
    with sole(_LOCKS, [market.exchange_id]) as mine:
        if mine and book_due:
            _keep({market.pk: _book_said(market)})
        if mine and funding_due:
            _keep_funding(market.exchange, [market])
    return bool(mine)


def refresh_listed(market_ids: Sequence[int]) -> int:
    """Fetch what lists show of markets of one exchange, as far as it is due; markets asked about.

    One request for their prices, best bids and asks, one for mark prices and funding.
    """
    now = timezone.now()
    found = Market.objects.select_related("exchange", "quotes").filter(pk__in=market_ids).order_by("exchange", "pk")
    listed = [market for market in found if market.exchange.has_connection]
    listed = [market for market in listed if market.exchange_id == listed[0].exchange_id]
    spreads = [market for market in listed if _is_spread_due(market, now)]
    swaps = [market for market in listed if _is_funding_due(market, now)]
    with sole(_LOCKS, {market.exchange_id for market in (*spreads, *swaps)}) as mine:
        if mine and spreads:
            _keep_spreads(listed[0].exchange, spreads)
        if mine and swaps:
            _keep_funding(listed[0].exchange, swaps)
    return len({market.pk for market in (*spreads, *swaps)}) if mine else 0


def _keep_spreads(exchange: Exchange, markets: Sequence[Market]) -> None:
    """What was told before stays where the exchange says nothing."""
    asked, found = timezone.now(), dict[str, Ticker]()
    try:
        found = gateway.connect(exchange, patience=PATIENCE_S).fetch_tickers([market.symbol for market in markets])
    except GatewayError as error:
        logger.warning("spreads of %s: %s", exchange.slug, error)
    tickers = [(market.pk, found[market.symbol]) for market in markets if market.symbol in found]
    prices.record_tickers(tickers)
    told = {pk: _spread_said(ticker, asked) for pk, ticker in tickers if ticker.bid is not None}
    _keep({market.pk: {"spread_asked_at": asked} for market in markets if market.pk not in told})
    _keep(told)


def _spread_said(ticker: Ticker, asked: datetime) -> dict[str, Any]:
    return {"bid": ticker.bid, "ask": ticker.ask, "spread_at": asked, "spread_asked_at": asked}


def _book_said(market: Market) -> dict[str, Any]:
    """Columns of the quote: the order book, or why there is none."""
    asked = timezone.now()
    try:
        book = gateway.connect(market.exchange, patience=PATIENCE_S).fetch_order_book(market.symbol, LEVELS)
    except GatewayError as error:
        return {"book_asked_at": asked, "book_error": str(error)[:300]}
    told = timezone.now()
    columns = {"bids": book.bids, "asks": book.asks, "book_at": told, "book_asked_at": asked, "book_error": ""}
    if not (book.bids and book.asks):
        return columns
    return {**columns, "bid": book.bids[0][0], "ask": book.asks[0][0], "spread_at": told, "spread_asked_at": asked}


def _keep_funding(exchange: Exchange, swaps: Sequence[Market]) -> None:
    asked, error, found = timezone.now(), "", dict[str, MarkPrice]()
    try:
        source = gateway.connect(exchange, patience=PATIENCE_S)
        found = source.fetch_mark_prices([market.symbol for market in swaps])
    except GatewayError as failure:
        error = str(failure)[:300]
    silent = [market for market in swaps if market.symbol not in found]
    told = {market.pk: _funding_said(found[market.symbol], asked) for market in swaps if market not in silent}
    failed = {
        market.pk: {"funding_asked_at": asked, "funding_error": error or _nothing_of(exchange, market)}
        for market in silent
    }
    for part in (told, failed):
        _keep(part)


def _nothing_of(exchange: Exchange, market: Market) -> str:
    return f"{exchange.name} told no mark price of {market.symbol}."


def _funding_said(told: MarkPrice, asked: datetime) -> dict[str, Any]:
    columns = {"mark_price": told.mark_price, "index_price": told.index_price}
    # Any number may stand in an answer; a moment is one that a calendar has.
    due = told.due if told.due is not None and 0 < told.due < _LAST_MS else None
    columns |= {"funding_rate": told.rate, "funding_due": due}
    return {**columns, "funding_at": asked, "funding_asked_at": asked, "funding_error": ""}


def _keep(said: Mapping[int, dict[str, Any]]) -> None:
    """Market id -> columns, the same ones of all."""
    if not said:
        return
    rows = [Quotes(market_id=market_id, **columns) for market_id, columns in sorted(said.items())]
    names = list(next(iter(said.values())))
    Quotes.objects.bulk_create(rows, update_conflicts=True, unique_fields=["market"], update_fields=names)
    notify.changed(notify.market_topic(market_id) for market_id in said)
