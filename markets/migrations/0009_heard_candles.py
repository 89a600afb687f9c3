from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0008_needed_candles"),
    ]

    operations = [
        migrations.AddField(
            model_name="feed",
            name="heard_from",
            field=models.BigIntegerField(
                editable=False,
                help_text="Candles from this open time on, ms UTC, came by a stream and were not asked for since.",
                null=True,
            ),
        ),
    ]
