import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0004_funding"), ("markets", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Prediction",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "market_id",
                        "timeframe",
                        "model",
                        "time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("timeframe", models.IntegerField(help_text="Seconds.")),
                ("model", models.CharField(help_text="Slug in FORECASTERS.", max_length=30)),
                ("time", models.BigIntegerField(help_text="Open time of the candle, ms UTC.")),
                ("value", models.FloatField(help_text="Probability that the closes to come are higher, 0 to 1.")),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="markets.market",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("value__gte", 0), ("value__lte", 1)), name="prediction_probability"
                    )
                ],
            },
        ),
    ]
