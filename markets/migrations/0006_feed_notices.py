from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

TIMEFRAMES = [(60, "1m"), (300, "5m"), (900, "15m"), (1800, "30m"), (3600, "1h"), (14400, "4h"), (86400, "1d")]


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0005_candle_gaps"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedNotice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("timeframe", models.IntegerField(choices=TIMEFRAMES)),
                ("code", models.CharField(max_length=20)),
                ("sentence", models.CharField(help_text="Of the last candle that showed it.", max_length=200)),
                (
                    "first_time",
                    models.BigIntegerField(help_text="Open time of the first candle that showed it, ms UTC."),
                ),
                ("last_time", models.BigIntegerField(help_text="Of the last one.")),
                ("times_seen", models.IntegerField(help_text="Candles that showed it.")),
                ("recorded_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="markets.market",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index("resolved_at", name="feed_notice_resolved")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at", None)),
                        fields=("market", "timeframe", "code"),
                        name="feed_notice_once",
                    )
                ],
            },
        ),
    ]
