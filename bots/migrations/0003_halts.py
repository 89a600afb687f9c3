from decimal import Decimal

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0002_limits")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="max_exposure",
            field=models.DecimalField(
                blank=True,
                decimal_places=18,
                help_text="Quote money: most that the positions of all its bots may be worth together, in each quote "
                "currency by itself. Empty is no limit. What runs already goes on when it is lowered.",
                max_digits=38,
                null=True,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="halted_at",
            field=models.DateTimeField(editable=False, help_text="While set, nothing starts or resumes.", null=True),
        ),
        migrations.AddField(
            model_name="account",
            name="halted_reason",
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.CreateModel(
            name="Halt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("halted_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=200)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="halt_one_row")],
            },
        ),
    ]
