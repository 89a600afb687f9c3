from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# Not logged, as it is a cache; not compressed, as it is packed already.
FAST = """
ALTER TABLE markets_historyblock SET UNLOGGED;
ALTER TABLE markets_historyblock ALTER COLUMN data SET STORAGE EXTERNAL;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0003_simulated_trading"),
    ]

    operations = [
        migrations.AlterField(
            model_name="candle",
            name="market",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="markets.market",
            ),
        ),
        migrations.CreateModel(
            name="HistoryBlock",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "market_id",
                        "timeframe",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("timeframe", models.IntegerField(help_text="Seconds.")),
                ("number", models.IntegerField(help_text="Blocks since the epoch.")),
                ("format", models.SmallIntegerField(help_text="Of the data.")),
                ("data", models.BinaryField()),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="markets.market",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(FAST, migrations.RunSQL.noop),
    ]
