from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("markets", "0007_margin"),
    ]

    operations = [
        migrations.AddField(
            model_name="feed",
            name="needed_from",
            field=models.BigIntegerField(
                editable=False, help_text="Candles from this open time on, ms UTC, are in use and kept.", null=True
            ),
        ),
    ]
