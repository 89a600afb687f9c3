from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from markets.models.exchange import Exchange
from markets.models.fields import price_field, rate_field


class Market(models.Model):
    """A pair on an exchange; field names are ccxt's, limits flattened."""

    id = models.AutoField(primary_key=True)  # 4 bytes, so that a candle's key stays small
    exchange = models.ForeignKey(Exchange, on_delete=models.PROTECT, related_name="markets")
    symbol = models.CharField(max_length=60)
    base = models.CharField(max_length=20)
    quote = models.CharField(max_length=20)
    type = models.CharField(max_length=10, default="spot", choices=[("spot", "spot"), ("swap", "swap")])
    tick = price_field(help_text="Smallest step of a price.", validators=[MinValueValidator(Decimal("1e-18"))])
    lot = price_field(help_text="Smallest step of an amount.", validators=[MinValueValidator(Decimal("1e-18"))])
    min_amount = price_field(default=0, help_text="Smallest amount of an order, in base.")
    min_cost = price_field(default=0, help_text="Smallest value of an order, in quote.")
    maker = rate_field("-0.01", "0.1", default=Decimal("0.001"), help_text="0.001 is 0.1 %; negative is a rebate.")
    taker = rate_field("0", "0.1", default=Decimal("0.001"), help_text="0.001 is 0.1 %.")
    max_leverage = models.DecimalField(
        max_digits=7,
        decimal_places=2,
        default=Decimal(1),
        validators=[MinValueValidator(Decimal(1)), MaxValueValidator(Decimal(1000))],
        help_text="Of swaps; 1 for spot.",
    )
    maintenance_rate = rate_field(
        "0",
        "0.5",
        default=Decimal(0),
        help_text="Of swaps: margin under which a position is liquidated; 0.005 is 0.5 %.",
    )
    active = models.BooleanField(default=True)
    funding_to = models.BigIntegerField(
        null=True, editable=False, help_text="Of swaps: every funding rate up to this moment is known, ms UTC."
    )
    # The last price seen, so that a page of many markets is one read.
    last = models.FloatField(null=True, editable=False)
    last_at = models.DateTimeField(null=True, editable=False)
    change_24h = models.FloatField(null=True, editable=False, help_text="0.05 is 5 %.")
    quote_volume_24h = models.FloatField(null=True, editable=False)

    class Meta:
        ordering = ["exchange", "symbol"]
        constraints = [models.UniqueConstraint(fields=["exchange", "symbol"], name="market_symbol_once")]

    def __str__(self) -> str:
        return f"{self.symbol} · {self.exchange.slug}"
