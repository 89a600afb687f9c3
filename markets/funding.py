"""The only door to stored funding rates: columns in, columns out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from django.db import connection

from markets.models import FundingRate
from markets.series import Column, Times
from markets.surface import Rate

MINUTE_MS = 60_000


def load(market_id: int, after: int, until: int) -> tuple[Times, Column]:
    """(times in ms UTC, int64, ascending; rates) of a market's funding with after < time <= until."""
    rows = FundingRate.objects.filter(market_id=market_id, time__gt=after, time__lte=until).order_by("time")
    found = list(rows.values_list("time", "rate"))
    return np.array([time for time, _ in found], np.int64), np.array([rate for _, rate in found], np.float64)


def latest(market_id: int, count: int) -> list[tuple[int, float]]:
    """The last (time in ms UTC, rate) of a market's funding, newest first."""
    rows = FundingRate.objects.filter(market_id=market_id).order_by("-time")
    return list(rows.values_list("time", "rate")[:count])


def upsert(market_id: int, rates: Iterable[Rate]) -> int:
    """Store rates, replacing those of the same time; rows written or changed.

    Exchanges settle some milliseconds past the hour: times are taken down to the minute, so that a candle which opens
    then is the one that pays.
    """
    by_time = {rate.time // MINUTE_MS * MINUTE_MS: rate.rate for rate in rates}
    if not by_time:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO markets_fundingrate AS old (market_id, time, rate) "
            "SELECT %s, * FROM unnest(%s::bigint[], %s::float8[]) AS given (time, rate) ORDER BY time "
            "ON CONFLICT (market_id, time) DO UPDATE SET rate = EXCLUDED.rate WHERE old.rate <> EXCLUDED.rate",
            [market_id, list(by_time), list(by_time.values())],
        )
        return int(cursor.rowcount)
