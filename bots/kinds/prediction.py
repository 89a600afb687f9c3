"""Prediction: enters and leaves when a model gives a rise a probability beyond a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bots.engine.simulate import Seen
from bots.engine.types import Terms
from bots.forecasts import FORECASTERS
from bots.kinds.contract import Kind
from bots.kinds.directional import exits, layout, orders
from bots.kinds.directional.exits import Exits, Side
from bots.kinds.directional.layout import LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
from bots.kinds.parameters import ParamsError, Problems, parameter
from bots.rules import evaluate
from markets.series import Candles, Column

SIDES = (Side("enter_above", "exit_below"), Side("short_below", "short_exit_above"))
LEAST, MOST = 0.01, 0.99  # of a bound: a model is never surer


@dataclass(frozen=True)
class Bounds:
    model: str = parameter(
        "choice",
        "Model",
        "Whose probability, that the closes to come are higher, is looked at when a candle closes.",
        choices=tuple((slug, forecaster.label) for slug, forecaster in FORECASTERS.items()),
        default=next(iter(FORECASTERS)),
    )
    enter_above: float | None = parameter(
        "number", "Buy above", "Probability of a rise. Empty: never.", least=LEAST, most=MOST, default=None
    )
    exit_below: float | None = parameter(
        "number",
        "Sell below",
        "Leaves what was bought. Empty: only the exits below do.",
        least=LEAST,
        most=MOST,
        default=None,
    )
    short_below: float | None = parameter(
        "number", "Sell short below", "On a swap. Empty: never.", least=LEAST, most=MOST, default=None
    )
    short_exit_above: float | None = parameter(
        "number",
        "Buy back above",
        "Leaves what was sold short. Empty: only the exits below do.",
        least=LEAST,
        most=MOST,
        default=None,
    )


@dataclass(frozen=True)
class Params(Exits, Bounds):
    """Model and bounds first, then size and exits."""


def columns(params: Params) -> tuple[str, ...]:
    return (params.model,)


def vector(params: Params, terms: Terms) -> Column:
    return exits.vector(params)


# Whichever name stands first must not lie above the second: between them nothing is asked for.
_ORDERED = (("exit_below", "enter_above"), ("short_below", "short_exit_above"), ("short_below", "enter_above"))


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems: Problems = {}
    for low, high in _ORDERED:
        least, most = getattr(params, low), getattr(params, high)
        if least is not None and most is not None and least > most:
            problems[low] = f"{low} must be at most {high}, {most:.15g}, not {least:.15g}."
    problems |= exits.check_sides(params, terms, *SIDES)
    return exits.check_exits(params, terms, allocation) | problems


def lead(params: Params, timeframe: int) -> int:
    """Raises ParamsError about an average true range that needs more candles than are loaded."""
    try:
        return evaluate.lead((), timeframe, exits.inputs_of(params))
    except ValueError as error:
        raise ParamsError({"atr_period": f"atr_period: {error}"}) from None


def observe(params: Params, candles: Candles, timeframe: int, columns: Mapping[str, Column]) -> Seen:
    """A prediction that is not known asks for nothing."""
    rise = columns[params.model]
    signals = np.zeros(len(candles), np.int8)
    for bit, beyond, bound in (
        (LONG_ENTRY, np.greater, params.enter_above),
        (LONG_EXIT, np.less, params.exit_below),
        (SHORT_ENTRY, np.less, params.short_below),
        (SHORT_EXIT, np.greater, params.short_exit_above),
    ):
        if bound is not None:
            signals |= beyond(rise, bound).view(np.int8) * np.int8(bit)
    _, beside = evaluate.signals_and_values((), exits.inputs_of(params), candles, timeframe)
    return Seen(signals, beside)


KIND = Kind(
    slug="prediction",
    label="Prediction",
    summary="Enters and leaves on a model's probability of a rise, with stop loss, targets and trailing stop.",
    suits="Suits trying what a trained model is worth; look at its hit rate before you give it money.",
    params=Params,
    slots=exits.slots,
    vector=vector,
    check=check,
    on_start=orders.on_start,
    on_fill=orders.on_fill,
    on_bar=orders.on_bar,
    example={"model": "logistic", "enter_above": 0.52, "exit_below": 0.5},
    tags=layout.TAGS,
    reasons=layout.REASONS
    | {
        "long entry": "the model gave a rise more than its bound",
        "short entry": "the model gave a rise less than its bound",
        "exit": "the prediction passed the bound of the exit",
        "reversal": "the prediction passed the bound of the other side",
    },
    notes=layout.NOTES,
    columns=columns,
    lead=lead,
    observe=observe,
)
