from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0004_history_blocks"),
    ]

    operations = [
        migrations.AddField(
            model_name="feed",
            name="repaired_to",
            field=models.BigIntegerField(
                editable=False, help_text="Every hole before this open time, ms UTC, is filled or declared.", null=True
            ),
        ),
        migrations.CreateModel(
            name="CandleGap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "timeframe",
                    models.IntegerField(
                        choices=[
                            (60, "1m"),
                            (300, "5m"),
                            (900, "15m"),
                            (1800, "30m"),
                            (3600, "1h"),
                            (14400, "4h"),
                            (86400, "1d"),
                        ]
                    ),
                ),
                ("start", models.BigIntegerField(help_text="Open time of the first missing candle, ms UTC.")),
                ("end", models.BigIntegerField(help_text="Open time of the next candle there is, ms UTC.")),
                ("declared_at", models.DateTimeField(default=django.utils.timezone.now)),
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
            options={
                "ordering": ["market", "timeframe", "start"],
                "constraints": [
                    models.UniqueConstraint(fields=("market", "timeframe", "start"), name="candle_gap_once")
                ],
            },
        ),
    ]
