"""Predictions for candles: those that are stored are read, the others computed, with the same bits.

So a bot never decides without a prediction that its backtest knows, whether it was stored before the bot saw the
candle, afterwards or not at all. extend() stores what running bots are about to ask for, so that they do not wait.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from django.db.models import QuerySet

from bots import predictions
from bots.bars import STORED, Bars
from bots.forecasts import FORECASTERS
from bots.kinds import KINDS
from bots.kinds.contract import no_columns
from bots.models import Run
from bots.predictions import Series
from markets import candles as store
from markets.series import Candles, Column, Times
from orchestrator.prepared import Prepared

log = logging.getLogger(__name__)

PREDICTED = tuple(slug for slug, kind in KINDS.items() if kind.columns is not no_columns)


def columns(
    models: Iterable[str], market_id: int, timeframe: int, candles: Candles, bars: Bars = STORED
) -> dict[str, Column]:
    """The predictions of each model for each candle (timeframe in s), NaN where it has none. Stores nothing."""
    return {model: _column(Series(market_id, timeframe, model), candles, bars) for model in models}


def _column(series: Series, candles: Candles, bars: Bars) -> Column:
    values = predictions.load(series, candles.time)
    missing = np.isnan(values)
    if not missing.any():
        return values
    forecaster = FORECASTERS[series.model]
    count = max(0, forecaster.lead - int(np.argmax(missing)))
    lead = bars.before(series.market, series.timeframe, int(candles.time[0]), count) if count else Candles.empty()
    wanted = np.concatenate([np.zeros(len(lead), bool), missing])
    predicted = forecaster.predict(Candles.joined([lead, candles]), series.timeframe, wanted)[len(lead) :]
    return np.where(missing, predicted, values)


@dataclass(slots=True)
class _Need:
    """after: open time of the last candle that was seen, ms UTC; lead: candles before the new ones that count too."""

    after: int
    lead: int


@cache
def predicting(due: Callable[[], QuerySet[Run]]) -> Prepared[Run]:
    """Those of the due runs whose kind asks for predictions: to put the queries together takes longer than to ask."""
    asked = "market_id", "timeframe", "kind", "params", "bar_time"
    return Prepared(lambda: due().filter(kind__in=PREDICTED).only(*asked).order_by())


def extend(due: Callable[[], QuerySet[Run]]) -> int:
    """Store the predictions that runs will ask for when they see their next candles; rows written.

    What fails stops nothing else; the runs that need it fail with its reason when they are stepped.
    """
    needs: dict[Series, _Need] = {}
    for run in predicting(due).rows():
        with _reported(f"run {run.pk}"):
            _ask(run, needs)
    made: dict[str, list[tuple[Series, Times, Column]]] = defaultdict(list)
    for series, need in needs.items():
        with _reported(f"{series.model} on market {series.market}"):
            made[series.model].append((series, *_missing(series, need)))
    written = 0
    for model, batch in made.items():
        with _reported(model):
            written += predictions.upsert_many(model, batch)
    return written


@contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, ArithmeticError, LookupError, TypeError):
        log.exception("no predictions for %s", what)


def _ask(run: Run, needs: dict[Series, _Need]) -> None:
    kind = KINDS[run.kind]
    params = kind.read(run.params)
    lead = kind.lead(params, run.timeframe) if kind.lead else 0
    for model in kind.columns(params):
        need = needs.setdefault(Series(run.market_id, run.timeframe, model), _Need(run.bar_time, lead))
        need.after, need.lead = min(need.after, run.bar_time), max(need.lead, lead)


def _missing(series: Series, need: _Need) -> tuple[Times, Column]:
    """(open times, predictions) of the candles that are needed and have none stored."""
    forecaster, step = FORECASTERS[series.model], series.timeframe * 1000
    first = need.after - need.lead * step + 1
    candles = store.load(series.market, series.timeframe, start=first - forecaster.lead * step)
    wanted = candles.time >= first
    wanted[wanted] = np.isnan(predictions.load(series, candles.time[wanted]))
    return candles.time[wanted], forecaster.predict(candles, series.timeframe, wanted)[wanted]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training. right: share of the predictions that named the direction; rose: of those that rose."""

    candles: Candles
    values: Column
    written: int
    right: float | None
    rose: float | None


def train(series: Series) -> Trained:
    """Predict every stored candle of a market anew, walk-forward, and store what has changed."""
    candles = store.load(series.market, series.timeframe)
    forecaster = FORECASTERS[series.model]
    values = forecaster.predict(candles, series.timeframe, np.ones(len(candles), bool))
    written = predictions.upsert(series, candles.time, values)
    ahead, close = forecaster.horizon, candles.close
    known = ~np.isnan(values[:-ahead])
    rises = (close[ahead:] > close[:-ahead])[known]
    if not rises.size:
        return Trained(candles, values, written, None, None)
    right = (values[:-ahead][known] > 0.5) == rises
    return Trained(candles, values, written, float(right.mean()), float(rises.mean()))
