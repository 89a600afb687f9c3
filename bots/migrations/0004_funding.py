import django.db.models.deletion
from django.db import migrations, models


def price_field(**options):
    return models.DecimalField(decimal_places=18, max_digits=38, **options)


class Migration(migrations.Migration):
    dependencies = [("bots", "0003_halts")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="funding",
            field=price_field(default=0, help_text="Paid on swaps, negative when received."),
        ),
        migrations.AlterField(model_name="order", name="type", field=models.CharField(max_length=12)),
        migrations.CreateModel(
            name="FundingPayment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("time", models.DateTimeField()),
                (
                    "rate",
                    models.FloatField(help_text="A fraction of the position's value; longs pay a positive one."),
                ),
                ("price", price_field()),
                ("position", price_field(help_text="Base units, negative when short.")),
                ("paid", price_field(help_text="Quote; negative when received.")),
                (
                    "bot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="funding_payments",
                        to="bots.bot",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="funding_payments",
                        to="bots.run",
                    ),
                ),
            ],
            options={
                "ordering": ["-time"],
                "indexes": [
                    models.Index(
                        models.F("bot"), models.OrderBy(models.F("time"), descending=True), name="funding_bot_time"
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("run", "time"), name="funding_once")],
            },
        ),
    ]
