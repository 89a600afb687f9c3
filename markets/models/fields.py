from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from markets.series import TIMEFRAME_NAMES

TIMEFRAME_CHOICES = list(TIMEFRAME_NAMES.items())


def price_field(**options: Any) -> models.DecimalField[Any, Any]:
    """Exact number with room for a satoshi of anything: 20 digits before the point, 18 behind."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


def rate_field(least: str, most: str, **options: Any) -> models.DecimalField[Any, Any]:
    """A fraction of money, between two bounds."""
    bounds = [MinValueValidator(Decimal(least)), MaxValueValidator(Decimal(most))]
    return models.DecimalField(max_digits=9, decimal_places=6, validators=bounds, **options)
