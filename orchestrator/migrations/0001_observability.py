import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Sample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                ("host", models.CharField(max_length=100)),
                (
                    "metric",
                    models.CharField(
                        choices=[
                            ("request", "Request"),
                            ("query", "Query"),
                            ("task", "Task"),
                            ("wait", "Wait"),
                            ("cycle", "Cycle"),
                            ("signal", "Signal"),
                            ("order", "Order"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "name",
                    models.CharField(blank=True, help_text="Of the view, the operation, the task.", max_length=100),
                ),
                (
                    "buckets",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        help_text="Counts up to each of metrics.SECONDS, then all.",
                        size=None,
                    ),
                ),
            ],
            options={
                "ordering": ["-time"],
                "indexes": [models.Index(models.F("time"), name="sample_time")],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("slow_request", "Slow Request"),
                            ("slow_task", "Slow Task"),
                            ("slow_query", "Slow Query"),
                            ("repeated_query", "Repeated Query"),
                        ],
                        max_length=20,
                    ),
                ),
                ("place", models.CharField(help_text="Name of the view or task.", max_length=100)),
                ("path", models.CharField(blank=True, max_length=300)),
                ("bot_id", models.BigIntegerField(null=True)),
                ("milliseconds", models.FloatField(help_text="Of the request, the task or the slow query.")),
                (
                    "count",
                    models.IntegerField(help_text="Queries of the whole; of a repeated query, how often it came."),
                ),
                ("seen", models.IntegerField(default=1, help_text="How often since the row before.")),
                ("statement", models.TextField(blank=True, help_text="The query's shape: SQL without any value.")),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        models.F("kind"), models.OrderBy(models.F("id"), descending=True), name="finding_kind_id"
                    ),
                    models.Index(models.F("time"), name="finding_time"),
                ],
            },
        ),
    ]
