"""Columns of indicators at the stored candles, read through the cache."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from markets import candles as store
from markets.indicators import INDICATORS, indicator
from markets.models import Market
from markets.series import Column
from markets.windows import Columns, Series, computed
from orchestrator import cache

WINDOW = 1000  # candles a cached column covers


def indicator_columns(
    market: Market, timeframe: int, names: Iterable[str], limit: int, last: int | None = None
) -> dict[str, dict[str, list[float | None]]]:
    """Indicator -> output -> values at the last `limit` stored candles, ascending, None while warming up.

    last: open time, ms UTC, of the last candle wanted, so that the values fit candles already read; else the newest.
    The same values, whoever computed them: those of markets.blocks. Raises ValueError for an unknown name.
    """
    wanted, series = list(names), (market.pk, timeframe)
    for name in wanted:
        indicator(name)
    if last is None:
        last = store.last_time(*series)
    if last is None:
        return {name: {output: [] for output in INDICATORS[name].outputs} for name in wanted}
    if limit > WINDOW:
        found = computed(series, wanted, limit, last)
    else:
        versions = {key(series, name): last for name in wanted}
        entries = cache.fetch_many(cache.INDICATORS, versions, lambda keys: _computed(keys, versions))
        found = {name: entries[key(series, name)] for name in wanted}
    return {name: {output: _plain(column[-limit:]) for output, column in found[name].items()} for name in wanted}


def _plain(column: Column) -> list[float | None]:
    return [None if math.isnan(value) else value for value in column.tolist()]


def key(series: Series, name: str) -> str:
    """Of a cached indicator; its version is the open time of the last candle."""
    return f"{series[0]}:{series[1]}:{name}"


def _by_series(keys: Sequence[str]) -> dict[Series, list[str]]:
    """Series -> names of its indicators."""
    found: dict[Series, list[str]] = {}
    for one in keys:
        market, timeframe, name = one.split(":")
        found.setdefault((int(market), int(timeframe)), []).append(name)
    return found


def _computed(keys: Sequence[str], versions: Mapping[str, cache.Version]) -> dict[str, Columns]:
    return {
        key(series, name): columns
        for series, names in _by_series(keys).items()
        for name, columns in computed(series, names, WINDOW, int(versions[key(series, names[0])])).items()
    }


def _versions(keys: Sequence[str]) -> dict[str, int]:
    """Of the keys whose indicators there still are."""
    found = {}
    for series, names in _by_series(keys).items():
        last = store.last_time(*series)
        if last is not None:
            found.update({key(series, name): last for name in names if name in INDICATORS})
    return found


# What keeps those that are read from expiring while no candle closes.
SOURCE = cache.Source(cache.INDICATORS, _versions, lambda keys: _computed(keys, _versions(keys)))
