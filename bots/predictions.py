"""The only door to stored predictions: columns in, columns out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from django.db import connection, transaction

from bots.models import Prediction
from markets.series import Column, Times
from orchestrator.binary_copy import Records, row_dtype, rows_of, stage

_ROW = row_dtype(("market_id", ">i4"), ("timeframe", ">i4"), ("time", ">i8"), ("value", ">f8"))
BATCH = 10_000


class Series(NamedTuple):
    """Whose predictions: a market's id, the timeframe of its candles in s, the slug of a model."""

    market: int
    timeframe: int
    model: str


def load(series: Series, times: Times) -> Column:
    """The prediction for each candle by its open time (ms UTC, ascending), NaN where none is stored."""
    found = np.full(len(times), np.nan)
    if not len(times):
        return found
    with connection.cursor() as cursor:
        # One row of two arrays: a row a prediction costs many times as much in the client.
        cursor.execute(
            "SELECT coalesce(array_agg(time ORDER BY time), '{}'), coalesce(array_agg(value ORDER BY time), '{}') "
            "FROM bots_prediction "
            "WHERE market_id = %s AND timeframe = %s AND model = %s AND time BETWEEN %s AND %s",
            [*series, int(times[0]), int(times[-1])],
        )
        stored_times, values = (np.array(column) for column in cursor.fetchone())
    _, at, of = np.intersect1d(times, stored_times, assume_unique=True, return_indices=True)
    found[at] = values[of]
    return found


def any_of(series: Series, times: Iterable[int]) -> bool:
    """Whether a prediction of one of these candles is stored."""
    of = {"market_id": series.market, "timeframe": series.timeframe, "model": series.model}
    return Prediction.objects.filter(**of, time__in=list(times)).exists()


def upsert(series: Series, times: Times, values: Column) -> int:
    """Store predictions, replacing those of the same candles; NaN is none. Rows written or changed.

    Raises ValueError for what is no probability.
    """
    return upsert_many(series.model, [(series, times, values)])


def upsert_many(model: str, batch: Iterable[tuple[Series, Times, Column]]) -> int:
    """`upsert` for many series of a model in one statement: all or nothing."""
    parts = [_packed(series, times, values) for series, times, values in batch if not np.isnan(values).all()]
    if not parts:
        return 0
    # As bytes: numpy would turn what it joins into its own byte order.
    rows = np.frombuffer(b"".join(part.tobytes() for part in parts), _ROW)
    with transaction.atomic():
        stage("prediction_stage", "market_id int, timeframe int, time bigint, value float8", rows)
        with connection.cursor() as cursor:
            # Sorted, so that two of them never deadlock.
            cursor.execute(
                "INSERT INTO bots_prediction AS old (market_id, timeframe, model, time, value) "
                "SELECT market_id, timeframe, %s, time, value FROM pg_temp.prediction_stage ORDER BY 1, 2, 4 "
                "ON CONFLICT (market_id, timeframe, model, time) DO UPDATE SET value = EXCLUDED.value "
                "WHERE old.value <> EXCLUDED.value",
                [model],
            )
            return int(cursor.rowcount)


def _packed(series: Series, times: Times, values: Column) -> Records:
    """Rows for the stage: those that are known."""
    known = ~np.isnan(values)
    times, values = times[known], values[known]
    if values.min() < 0.0 or values.max() > 1.0:
        raise ValueError(f"predictions must be from 0 to 1, not {values.min():.15g} to {values.max():.15g}.")
    return rows_of(_ROW, market_id=series.market, timeframe=series.timeframe, time=times, value=values)


def forget(market_id: int, timeframe: int, before: int) -> int:
    """Delete what is older than a moment, ms UTC, a batch at a time, so that no lock is held for long; rows deleted."""
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM bots_prediction WHERE market_id = %(market)s AND timeframe = %(timeframe)s "
                "AND (model, time) IN (SELECT model, time FROM bots_prediction "
                "WHERE market_id = %(market)s AND timeframe = %(timeframe)s AND time < %(before)s LIMIT %(batch)s)",
                {"market": market_id, "timeframe": timeframe, "before": before, "batch": BATCH},
            )
            count = int(cursor.rowcount)
        deleted += count
        if count < BATCH:
            return deleted
