from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0014_late_feeds")]

    operations = [
        migrations.AddField(
            "channel", "tested_at", models.DateTimeField(help_text="When the last one was asked for.", null=True)
        ),
        migrations.AlterField(
            "channel",
            "test_asked_at",
            models.DateTimeField(help_text="Of a test message that is not sent yet.", null=True),
        ),
    ]
