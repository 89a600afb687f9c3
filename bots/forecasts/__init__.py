"""The registry of models that predict: one line each."""

from __future__ import annotations

from bots.forecasts import logistic
from bots.forecasts.contract import Forecaster

FORECASTERS: dict[str, Forecaster] = {forecaster.slug: forecaster for forecaster in (logistic.FORECASTER,)}
