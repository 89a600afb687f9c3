"""What trades came to day by day, so that no page reads a million of them."""

from __future__ import annotations

from django.db import connection

# Ids are given before they are committed, so some of those before are looked at too. Days with anything new are made
# again as a whole.
LATE_IDS = 10_000
# An order that closed something paid a fee to get in, too. A trade keeps its own fee alone, so the other side is taken
# at the same rate: exact while a market's fee does not change. The entry cost less what was gained (long) or more.
_DAYS = """
WITH known AS (
  SELECT coalesce(max(last_id), 0) AS last_id FROM bots_tradeday
), fresh AS (
  SELECT date_trunc('day', min(time), 'UTC') AS start, max(id) AS last_id FROM bots_trade
  WHERE id > (SELECT last_id FROM known) - %(late_ids)s AND mode <> 'replay'
  HAVING max(id) > (SELECT last_id FROM known)
), trader AS (
  SELECT DISTINCT owner_id, mode FROM bots_account WHERE mode <> 'replay'
), trade AS (
  SELECT t.owner_id, t.mode, m.quote AS currency, (t.time AT TIME ZONE 'UTC')::date AS day, t.run_id, t.client_id,
         t.price::float8 * t.amount::float8 AS cost, t.fee::float8 AS fee, t.realized::float8 AS realized,
         CASE t.side WHEN 'sell' THEN 1 ELSE -1 END AS direction, fresh.last_id
  FROM fresh CROSS JOIN trader
  JOIN bots_trade t ON t.owner_id = trader.owner_id AND t.mode = trader.mode AND t.time >= fresh.start
  JOIN markets_market m ON m.id = t.market_id
), placed AS (
  SELECT owner_id, mode, currency, day, last_id, count(*) AS trades, sum(cost) AS cost, sum(fee) AS fees,
         sum(realized - fee - fee * (cost - direction * realized) / nullif(cost, 0)) FILTER (WHERE realized <> 0) AS net
  FROM trade GROUP BY owner_id, mode, currency, day, last_id, run_id, client_id
)
INSERT INTO bots_tradeday (owner_id, mode, currency, day, trades, cost, fees, orders, won, gains, losses, last_id)
SELECT owner_id, mode, currency, day, sum(trades), sum(cost), sum(fees), count(net), count(*) FILTER (WHERE net > 0),
       coalesce(sum(net) FILTER (WHERE net > 0), 0), coalesce(-sum(net) FILTER (WHERE net < 0), 0), last_id
FROM placed GROUP BY owner_id, mode, currency, day, last_id
ON CONFLICT (owner_id, mode, currency, day) DO UPDATE SET
  trades = excluded.trades, cost = excluded.cost, fees = excluded.fees, orders = excluded.orders, won = excluded.won,
  gains = excluded.gains, losses = excluded.losses, last_id = excluded.last_id
"""


def sum_up() -> int:
    """Bring the TradeDays up to the newest trade, earlier days that changed included; rows written.

    An order that is filled in parts counts once a day. A trade that goes through zero pays its whole fee for what it
    closed.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"late_ids": LATE_IDS})
        return int(cursor.rowcount)
