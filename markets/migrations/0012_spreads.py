from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("markets", "0011_roomy_snapshots")]

    operations = [
        migrations.AddField(
            "quotes",
            "bid",
            models.FloatField(help_text="The best one, as a ticker or the order book told it last.", null=True),
        ),
        migrations.AddField("quotes", "ask", models.FloatField(null=True)),
        migrations.AddField("quotes", "spread_at", models.DateTimeField(help_text="When both were told.", null=True)),
        migrations.AddField("quotes", "spread_asked_at", models.DateTimeField(null=True)),
    ]
