from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator", "0001_observability"),
    ]

    operations = [
        migrations.CreateModel(
            name="BrokenBudget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "subject",
                    models.CharField(help_text="Of dashboard.system.audit.", max_length=200, unique=True),
                ),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("told_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["since"],
            },
        ),
    ]
