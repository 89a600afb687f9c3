from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0015_channel_tests")]

    operations = [
        migrations.AddField(
            "backtest", "claimed_by", models.UUIDField(help_text="Who works on it: bots.backtest_claims.", null=True)
        ),
        migrations.AddField(
            "backtest", "tries", models.IntegerField(default=0, help_text="Times that it was claimed.")
        ),
    ]
