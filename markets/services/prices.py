"""Last prices of the markets, from their candles and, between them, from tickers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import QuerySet

from markets import gateway
from markets.models import Exchange, Feed, Market
from markets.surface import GatewayError, Ticker
from orchestrator import notify

logger = logging.getLogger(__name__)

DAY_MS = 86_400_000
_KEPT = ("time", "last", "change_24h", "quote_volume_24h")  # of a ticker, in the order of _FROM_TICKERS

# The feed that reaches furthest speaks for its market.
_FROM_CANDLES = """
UPDATE markets_market AS market
SET last = day.last, last_at = to_timestamp(day.closed / 1000.0), quote_volume_24h = day.turnover,
    change_24h = CASE WHEN day.since <= day.closed - 0.98 * %(day)s THEN day.last / day.first - 1 END
FROM (
    SELECT DISTINCT ON (market_id) market_id, timeframe, time
    FROM unnest(%(markets)s::int[], %(timeframes)s::int[], %(times)s::bigint[]) AS given (market_id, timeframe, time)
    ORDER BY market_id, time + timeframe * 1000::bigint DESC, timeframe
) AS feed
CROSS JOIN LATERAL (
    SELECT max(time) + feed.timeframe * 1000::bigint AS closed, min(time) AS since,
        (array_agg(open ORDER BY time))[1] AS first, (array_agg(close ORDER BY time DESC))[1] AS last,
        sum(close * volume) AS turnover
    FROM markets_candle AS candle
    WHERE candle.market_id = feed.market_id AND candle.timeframe = feed.timeframe
        AND candle.time > feed.time - %(day)s AND candle.time <= feed.time
) AS day
WHERE market.id = feed.market_id AND day.last IS NOT NULL
    AND (market.last_at IS NULL OR market.last_at <= to_timestamp(day.closed / 1000.0))
"""
_FROM_TICKERS = """
UPDATE markets_market AS market
SET last = ticker.last, last_at = to_timestamp(ticker.time / 1000.0),
    change_24h = coalesce(ticker.change, market.change_24h),
    quote_volume_24h = coalesce(ticker.turnover, market.quote_volume_24h)
FROM unnest(%s::int[], %s::bigint[], %s::float8[], %s::float8[], %s::float8[])
    AS ticker (market_id, time, last, change, turnover)
WHERE market.id = ticker.market_id
    AND (market.last_at IS NULL OR market.last_at < to_timestamp(ticker.time / 1000.0))
RETURNING market.id
"""


def record_from_candles(feeds: Sequence[Feed]) -> None:
    """Last price and figures of the last 24 hours from the candles; a change only when they reach back that far."""
    if not feeds:
        return
    _lock([feed.market_id for feed in feeds])
    with connection.cursor() as cursor:
        cursor.execute(
            _FROM_CANDLES,
            {
                "markets": [feed.market_id for feed in feeds],
                "timeframes": [feed.timeframe for feed in feeds],
                "times": [feed.synced_to for feed in feeds],
                "day": DAY_MS,
            },
        )


def _lock(market_ids: Sequence[int]) -> None:
    """In one order for everybody, as a set-based update locks in any: so that candles and tickers never deadlock."""
    rows = Market.objects.select_for_update(no_key=True).filter(pk__in=market_ids).order_by("pk")
    list(rows.values_list("pk"))


def refresh_tickers() -> int:
    """Last prices of the markets with an enabled feed, between their candles; number of markets told."""
    feeds = Feed.objects.alive()
    return sum(_refresh_exchange(exchange, feeds) for exchange in Exchange.objects.with_feeds(feeds))


def _refresh_exchange(exchange: Exchange, feeds: QuerySet[Feed]) -> int:
    markets = dict(Market.objects.filter(pk__in=feeds.values("market"), exchange=exchange).values_list("symbol", "pk"))
    try:
        tickers = gateway.connect(exchange).fetch_tickers(sorted(markets))
    except GatewayError as error:
        # The feeds' own sync tells the user; a ticker missed is followed by the next.
        logger.warning("tickers of %s: %s", exchange.slug, error)
        return 0
    return record_tickers([(markets[symbol], ticker) for symbol, ticker in tickers.items() if symbol in markets])


@transaction.atomic
def record_tickers(tickers: Sequence[tuple[int, Ticker]]) -> int:
    """Store the tickers of markets, by id, that are newer than what is known; how many were."""
    _lock([market_id for market_id, _ in tickers])
    columns = [[getattr(ticker, name) for _, ticker in tickers] for name in _KEPT]
    with connection.cursor() as cursor:
        cursor.execute(_FROM_TICKERS, [[market_id for market_id, _ in tickers], *columns])
        told = [market_id for (market_id,) in cursor.fetchall()]
    notify.changed(notify.market_topic(market_id) for market_id in told)
    return len(told)
