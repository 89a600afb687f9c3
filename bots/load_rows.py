"""The statements that bots/load.py fills tables with.

Parameters: owner, now, span, money, positions, candles, exchange. setseed() before makes them repeatable.
"""

from __future__ import annotations

# What every run needs to know; a trade or order of it lies at a share of its life.
_RUNS = """
WITH run AS (
  SELECT r.id AS run_id, r.bot_id, b.owner_id, r.market_id, r.mode, r.status, r.trades_count, r.started_at,
         coalesce(r.stopped_at, %(now)s) AS until, coalesce(m.last, 1)::float8 AS price, m.quote, r.equity::float8 AS
         equity, row_number() OVER (ORDER BY r.id) AS rank
  FROM bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
  WHERE b.owner_id = %(owner)s
)
"""

TRADES = (
    _RUNS
    + """
, drawn AS (
  SELECT run.*, n, started_at + (until - started_at) * ((n - random()) / trades_count) AS time,
         round((price * (1 + (random() - 0.5) / 10))::numeric, 4) + 0.0001 AS paid
  FROM run CROSS JOIN LATERAL generate_series(1, trades_count) AS n
)
INSERT INTO bots_trade (run_id, number, bot_id, owner_id, market_id, mode, client_id, time, side, price, amount, fee,
                        fee_currency, realized, tag)
SELECT run_id, n, bot_id, owner_id, market_id, mode, 'r' || run_id || '-' || n, time,
       CASE WHEN n %% 2 = 1 THEN 'buy' ELSE 'sell' END, paid, round(50 / paid, 3) + 0.001, round(0.05::numeric, 6),
       quote,
       CASE WHEN n %% 2 = 1 THEN 0 ELSE round((random() - 0.35)::numeric, 4) END, 'grid'
FROM drawn ORDER BY time
"""
)

# Those that rest, and the last ones of every run that were filled or withdrawn.
ORDERS = (
    _RUNS
    + """
, drawn AS (
  SELECT run.*, n, n <= 20 AND status = 'running' AS resting,
         round((price * (1 + (n - 10.5) / 100))::numeric, 4) + 0.0001 AS wanted,
         until - (until - started_at) * random() / 5 AS time
  FROM run CROSS JOIN LATERAL generate_series(1, 20 + least(trades_count / 5, 200)) AS n
)
INSERT INTO bots_order (run_id, bot_id, owner_id, market_id, client_id, slot, type, side, price, amount, filled, status,
                        tag, created_at, updated_at)
SELECT run_id, bot_id, owner_id, market_id, 'r' || run_id || '-' || trades_count + n, n, 'limit',
       CASE WHEN n <= 10 THEN 'buy' ELSE 'sell' END, wanted, round(50 / wanted, 3) + 0.001,
       CASE WHEN resting OR n %% 3 = 0 THEN 0 ELSE round(50 / wanted, 3) + 0.001 END,
       CASE WHEN resting THEN 'open' WHEN n %% 3 = 0 THEN 'canceled' ELSE 'closed' END, 'grid', time, time
FROM drawn ORDER BY time
"""
)

# One open position for each of the first runs that are alive; everybody has closed some.
POSITIONS = (
    _RUNS
    + """
, alive AS (SELECT *, row_number() OVER (ORDER BY rank) AS place FROM run WHERE status <> 'stopped')
, opened AS (
  UPDATE bots_run SET position = round((2000 / price)::numeric, 3) + 0.001, cost = 2000, cash = %(money)s - 2000
  FROM alive WHERE bots_run.id = alive.run_id AND place <= %(positions)s
)
INSERT INTO bots_position (run_id, bot_id, owner_id, market_id, status, side, amount, average_price, realized,
                           fees, opened_at, closed_at)
SELECT run_id, bot_id, owner_id, market_id, 'open', 'long', round((2000 / price)::numeric, 3) + 0.001,
       round((price * 0.99)::numeric, 4) + 0.0001, 0, 0.05, until - %(span)s / 100, NULL
FROM alive WHERE place <= %(positions)s
UNION ALL
SELECT run_id, bot_id, owner_id, market_id, 'closed', 'long', 0, round(price::numeric, 4), 12.5, 0.1,
       started_at + (until - started_at) * n / 12, started_at + (until - started_at) * (n + 0.5) / 12
FROM run, generate_series(1, 10) AS n
"""
)

# As retention leaves them: full hours, and every five minutes of the last day. The last is what the run is worth.
SNAPSHOTS = (
    _RUNS
    + """
, mark AS (
  SELECT time FROM generate_series(date_trunc('hour', %(now)s - %(span)s), %(now)s, interval '1 hour') AS time
  UNION
  SELECT time FROM generate_series(date_trunc('hour', %(now)s - interval '1 day'), %(now)s, interval '5 min') AS time
), drawn AS (
  SELECT run.*, mark.time, extract(epoch FROM mark.time - started_at) / extract(epoch FROM until - started_at) AS part
  FROM run JOIN mark ON mark.time BETWEEN run.started_at AND run.until
)
INSERT INTO bots_equitysnapshot (bot_id, run_id, time, equity, cash, position, price)
SELECT bot_id, run_id, time,
       %(money)s + (equity - %(money)s) * part + 120 * sin(part * 40 + run_id) * part * (1 - part), %(money)s, 0, price
FROM drawn ORDER BY time
"""
)

# The last trades of every run in words, and here and there a warning.
EVENTS = (
    _RUNS
    + """
INSERT INTO bots_event (owner_id, bot_id, run_id, time, recorded_at, level, code, message, data)
SELECT owner_id, bot_id, run_id, time, time, level, code, message, jsonb_build_object('number', n) FROM (
  SELECT run.*, n, until - (until - started_at) * random() AS time,
         CASE WHEN n %% 37 = 0 THEN 'error' WHEN n %% 31 = 0 THEN 'warning' ELSE 'info' END AS level,
         CASE WHEN n %% 31 = 0 OR n %% 37 = 0 THEN 'refused' WHEN n = 1 THEN 'started' ELSE 'trade' END AS code,
         CASE WHEN n %% 31 = 0 OR n %% 37 = 0 THEN 'The order was refused: too small.' ELSE 'Bought at a level.' END
         AS message
  FROM run CROSS JOIN LATERAL generate_series(1, 10 + least(trades_count / 4, 250)) AS n
) AS drawn ORDER BY time
"""
)

CANDLES = """
INSERT INTO markets_candle (market_id, timeframe, time, open, high, low, close, volume)
SELECT m.id, 60, bar, o, greatest(o, c) * 1.0002, least(o, c) * 0.9998, c, 1000
FROM markets_market m JOIN markets_exchange e ON e.id = m.exchange_id AND e.slug = %(exchange)s
CROSS JOIN LATERAL (
  SELECT n, (extract(epoch FROM %(now)s)::int8 / 60 - n) * 60000 AS bar,
         m.last * (1 + sin((n + 1 + m.id) / 20.0) / 50) AS o, m.last * (1 + sin((n + m.id) / 20.0) / 50) AS c
  FROM generate_series(1, %(candles)s) AS n
) AS candle
"""
