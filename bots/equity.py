"""Equity over time: of runs between candles, and of all runs of an owner together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from bots.quiet import EQUITY_EVERY
from bots.records import moment
from bots.retention import FINE_EQUITY_KEPT

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


# Snapshots may come late: a worker was away, or the exchange was. Whatever came since the last time says from when on
# the sums are made again. Ids are given before they are committed, so some of those before are looked at too.
LATE_IDS = 10_000
LATE_TIME = timedelta(hours=1)
_BOOKS = """
WITH known AS (
  SELECT coalesce(max(last_id), 0) AS last_id FROM bots_booksnapshot
), fresh AS (
  SELECT min(time) AS since, max(id) AS last_id FROM bots_equitysnapshot
  WHERE id > (SELECT last_id FROM known) - %(late_ids)s HAVING max(id) > (SELECT last_id FROM known)
), span AS (
  -- The first time it begins with the first run.
  SELECT date_bin(%(every)s, least(since, %(now)s - %(late)s,
                                   (SELECT min(started_at) FROM bots_run, known WHERE known.last_id = 0)), 'epoch')
         AS start, fresh.last_id FROM fresh
), run AS (
  SELECT r.id, b.owner_id, r.mode, m.quote, r.equity::float8 AS equity, r.allocation::float8 AS allocation,
         r.started_at, coalesce(r.stopped_at, 'infinity') AS stopped_at
  FROM span, bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
  WHERE r.mode <> 'replay'
), point AS (
  -- What a run is worth as the span begins, or as it begins itself,
  SELECT run.id, greatest(started_at, start) AS time, 0 AS rank, stopped_at > start AS alive,
         CASE WHEN stopped_at <= start THEN equity ELSE coalesce((
           SELECT s.equity FROM bots_equitysnapshot s WHERE s.run_id = run.id AND s.time <= start
           ORDER BY s.time DESC LIMIT 1), allocation) END AS equity
  FROM span, run
  -- later on,
  UNION ALL
  SELECT run.id, s.time, 1, true, s.equity
  FROM span, run JOIN bots_equitysnapshot s ON s.run_id = run.id
  WHERE s.time > start AND s.time > started_at AND s.time < stopped_at AND s.time <= %(now)s
  -- and as it ends.
  UNION ALL
  SELECT run.id, stopped_at, 2, false, equity FROM span, run WHERE stopped_at > start AND stopped_at <= %(now)s
), step AS (
  SELECT run.owner_id, run.mode, run.quote,
         CASE WHEN point.time >= %(now)s - %(fine)s THEN date_bin(%(every)s, point.time + %(every)s - %(tick)s, 'epoch')
              ELSE date_bin('1 hour', point.time + interval '1 hour' - %(tick)s, 'epoch') END AS time,
         point.equity - coalesce(lag(point.equity) OVER life, run.allocation) AS pnl,
         CASE WHEN alive THEN point.equity ELSE 0 END
           - coalesce(lag(CASE WHEN alive THEN point.equity ELSE 0 END) OVER life, 0) AS equity
  FROM point JOIN run USING (id)
  WINDOW life AS (PARTITION BY point.id ORDER BY point.time, rank)
), total AS (
  SELECT owner_id, mode, quote, time, sum(equity) AS equity, sum(pnl) AS pnl FROM step GROUP BY 1, 2, 3, 4
), mark AS (
  SELECT time FROM span, generate_series(start, %(now)s, %(every)s) AS time
  WHERE time >= %(now)s - %(fine)s OR date_trunc('hour', time) = time
), book AS (
  SELECT owner_id, mode, quote, min(time) AS first FROM total GROUP BY 1, 2, 3
)
INSERT INTO bots_booksnapshot (owner_id, mode, currency, time, equity, pnl, last_id)
SELECT owner_id, mode, quote, time, sum(coalesce(equity, 0)) OVER marks, sum(coalesce(pnl, 0)) OVER marks, last_id
FROM span, book JOIN mark ON mark.time >= book.first LEFT JOIN total USING (owner_id, mode, quote, time)
WINDOW marks AS (PARTITION BY owner_id, mode, quote ORDER BY time)
ORDER BY owner_id, mode, quote, time
ON CONFLICT (owner_id, mode, currency, time)
DO UPDATE SET equity = excluded.equity, pnl = excluded.pnl, last_id = excluded.last_id
"""


def sum_up() -> int:
    """Bring the BookSnapshots up to the latest five-minute mark, earlier ones that changed included; rows written.

    A run counts with its last snapshot until then, with its allocation before the first, with what it ended with
    after its end. The steps from one point to the next are added up, so every snapshot is read once.
    """
    values: dict[str, Any] = {"now": timezone.now(), "every": timedelta(milliseconds=EQUITY_EVERY)}
    values |= {"tick": timedelta(microseconds=1), "fine": FINE_EQUITY_KEPT}
    values |= {"late_ids": LATE_IDS, "late": LATE_TIME}
    with connection.cursor() as cursor:
        cursor.execute(_BOOKS, values)
        return int(cursor.rowcount)
