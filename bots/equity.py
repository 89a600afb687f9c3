"""Equity between candles: what running bots are worth at the latest price of their market."""

from __future__ import annotations

from django.db import connection
from django.utils import timezone

from bots.quiet import EQUITY_EVERY
from bots.records import moment

# A run's book at the ticker's price. A mark that a candle has already set stays. A run that lags behind its candles
# has yet to trade what lies between, so what it holds now says nothing about the mark.
_SNAPSHOT = """
INSERT INTO bots_equitysnapshot (bot_id, run_id, time, equity, cash, position, price)
SELECT run.bot_id, run.id, %(mark)s, run.cash + run.position * market.last::numeric, run.cash, run.position, market.last
FROM bots_run AS run JOIN markets_market AS market ON market.id = run.market_id
WHERE run.status <> 'stopped' AND run.mode <> 'replay' AND market.last IS NOT NULL AND market.last_at > %(fresh)s
    AND (run.status = 'paused' OR run.bar_time > %(now)s - 2000 * run.timeframe::bigint - %(every)s)
ON CONFLICT (run_id, time) DO NOTHING
"""


def snapshot() -> int:
    """Add a point at the latest five-minute mark for every bot whose market has a fresh price; rows added.

    Bots on long timeframes and paused ones keep a curve this way; the minute bots set their marks by candles.
    """
    now = int(timezone.now().timestamp() * 1000)
    mark = now - now % EQUITY_EVERY
    with connection.cursor() as cursor:
        cursor.execute(
            _SNAPSHOT, {"mark": moment(mark), "fresh": moment(now - EQUITY_EVERY), "now": now, "every": EQUITY_EVERY}
        )
        return int(cursor.rowcount)
