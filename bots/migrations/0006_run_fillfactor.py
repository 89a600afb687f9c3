from django.db import migrations


class Migration(migrations.Migration):
    """Half of each page stays free, so that a candle's update needs no new index entries (a HOT update)."""

    dependencies = [("bots", "0005_predictions")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE bots_run SET (fillfactor = 50)", reverse_sql="ALTER TABLE bots_run RESET (fillfactor)"
        ),
    ]
