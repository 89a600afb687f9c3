from __future__ import annotations

from django.db import migrations, models

KEEP = """
UPDATE bots_position p SET status = 'kept' FROM bots_run r
WHERE r.id = p.run_id AND p.status = 'open' AND r.status = 'stopped'
"""
BACK = """
UPDATE bots_position SET status = 'open', closed_at = NULL WHERE status IN ('kept', 'dismissed')
"""


class Migration(migrations.Migration):
    dependencies = [("bots", "0019_attention_index")]

    operations = [
        migrations.AlterField(
            "position",
            "status",
            models.CharField(
                max_length=10,
                choices=[("open", "Open"), ("kept", "Kept"), ("dismissed", "Dismissed"), ("closed", "Closed")],
                default="open",
            ),
        ),
        migrations.RunSQL(KEEP, BACK),
    ]
