from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0016_backtest_claims")]

    operations = [
        migrations.AddField(
            "balance",
            "payments",
            models.IntegerField(default=0, help_text="Deposits and withdrawals by people so far."),
        ),
    ]
