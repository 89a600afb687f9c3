import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0008_owner_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="BotChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                ("by", models.CharField(blank=True, help_text="User name.", max_length=150)),
                ("note", models.CharField(blank=True, help_text="Since when it holds.", max_length=200)),
                (
                    "changes",
                    models.JSONField(default=dict, help_text="Setting -> [before, after]; null where it was not set."),
                ),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="bots.bot",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        models.F("bot"), models.OrderBy(models.F("id"), descending=True), name="bot_change_latest"
                    )
                ],
            },
        ),
    ]
