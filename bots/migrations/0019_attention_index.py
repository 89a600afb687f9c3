from __future__ import annotations

from django.db import migrations, models

NAME = "event_owner_attention"
ATTENTION = models.Q(level__in=["warning", "error"])
NEWEST = ("owner", models.F("id").desc())


class Migration(migrations.Migration):
    dependencies = [("bots", "0018_position_fees")]

    operations = [
        migrations.RemoveIndex("event", NAME),
        migrations.AddIndex(
            "event", models.Index(*NEWEST, name=NAME, condition=ATTENTION, include=["bot", "code", "recorded_at"])
        ),
    ]
