from __future__ import annotations

from django.db import migrations, models

PRICE = {"max_digits": 38, "decimal_places": 18, "default": 0}
GROSS = "Before fees, at average cost."

# A run's positions follow one another: each begins with the trade after the one that left nothing.
SUM_UP = """
WITH moved AS (
  SELECT run_id, number, fee,
         sum(CASE side WHEN 'buy' THEN amount ELSE -amount END) OVER (PARTITION BY run_id ORDER BY number) AS held
  FROM bots_trade
), placed AS (
  SELECT run_id, fee, count(*) FILTER (WHERE held = 0) OVER (
    PARTITION BY run_id ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS place
  FROM moved
), paid AS (
  SELECT run_id, place, sum(fee) AS fees FROM placed GROUP BY run_id, place
), listed AS (
  SELECT id, run_id, row_number() OVER (PARTITION BY run_id ORDER BY id) - 1 AS place FROM bots_position
)
UPDATE bots_position AS p SET fees = paid.fees
FROM listed JOIN paid USING (run_id, place) WHERE p.id = listed.id
"""


class Migration(migrations.Migration):
    dependencies = [("bots", "0017_balance_payments")]

    operations = [
        migrations.AddField("position", "fees", models.DecimalField(**PRICE)),
        migrations.RunSQL(SUM_UP, migrations.RunSQL.noop),
        migrations.AlterField("position", "realized", models.DecimalField(**PRICE, help_text=GROSS)),
        migrations.AlterField("run", "realized", models.DecimalField(**PRICE, help_text=GROSS)),
    ]
