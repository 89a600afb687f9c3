from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="bot",
            name="limits",
            field=models.JSONField(blank=True, default=dict, help_text="What it may do at most: bots.limits.Limits."),
        ),
        migrations.AddField(
            model_name="run",
            name="limits",
            field=models.JSONField(default=dict, help_text="The bot's limits as they were at the start."),
        ),
    ]
