import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

FILL = """
UPDATE bots_order SET owner_id = bot.owner_id FROM bots_bot AS bot WHERE bot.id = bots_order.bot_id;
SET CONSTRAINTS ALL IMMEDIATE;
"""


def owner(**options):
    return models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0007_live_runs"),
        ("markets", "0003_simulated_trading"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("order", "owner", owner(null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField("order", "owner", owner()),
        migrations.AddIndex(
            "order",
            models.Index("owner", "status", F("created_at").desc(), F("id").desc(), name="order_owner_status"),
        ),
        migrations.AddIndex(
            "order",
            models.Index("bot", "status", F("created_at").desc(), F("id").desc(), name="order_bot_status"),
        ),
        migrations.AddIndex(
            "position",
            models.Index("owner", "status", F("opened_at").desc(), F("id").desc(), name="position_owner_opened"),
        ),
        migrations.RemoveIndex("position", "position_owner_status"),
        migrations.AddIndex(
            "event",
            models.Index(
                "owner",
                F("id").desc(),
                name="event_owner_attention",
                condition=Q(level__in=["warning", "error"]),
            ),
        ),
        migrations.AddIndex("event", models.Index("owner", "code", F("id").desc(), name="event_owner_code")),
        migrations.CreateModel(
            name="BookSnapshot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "owner_id",
                        "mode",
                        "currency",
                        "time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("owner", owner()),
                (
                    "mode",
                    models.CharField(
                        choices=[("paper", "Paper"), ("live", "Live"), ("replay", "Replay")], max_length=10
                    ),
                ),
                ("currency", models.CharField(max_length=20)),
                ("time", models.DateTimeField(help_text="A mark of five minutes.")),
                ("equity", models.FloatField(help_text="Of the runs alive then.")),
                ("pnl", models.FloatField(help_text="Equity less allocation, of all runs until then.")),
                ("last_id", models.BigIntegerField(help_text="The newest EquitySnapshot there was when it was made.")),
            ],
            options={"indexes": [models.Index("last_id", name="book_snapshot_last")]},
        ),
    ]
