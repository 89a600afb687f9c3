from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Every row changes as a candle closes: with room in its page no index has to."""

    dependencies = [
        ("markets", "0010_quotes"),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE markets_indicatorsnapshot SET (fillfactor = 50)",
            "ALTER TABLE markets_indicatorsnapshot RESET (fillfactor)",
        ),
    ]
