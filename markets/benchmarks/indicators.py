"""What a closed candle of many markets costs, from storing it to the snapshots, and a read of a cached indicator."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.test.utils import override_settings

from markets import candles as store
from markets import services
from markets.benchmarks.walk import random_walk
from markets.indicators import INDICATORS, compute
from markets.models import Candle, Exchange, Feed, IndicatorSnapshot, Market
from markets.series import VALUES, Candles
from markets.services.indicators import WINDOW, key
from markets.windows import computed
from orchestrator import cache
from orchestrator.benchmarks import Row, own_database, row
from orchestrator.servers import ports
from orchestrator.servers.redis import Redis

TIMEFRAME = 60
HISTORY = 3904  # candles of each market before the first that closes, which is then in the middle of a block
CLOSES = 8  # the first one reads the history and does not count
SIX = ("sma", "ema", "bollinger", "rsi", "macd", "atr")
ORM_MARKETS = 10
READS = 2000  # between two closes
CHARTS = 200  # that are looked at, the first ones most

Taken = dict[str, list[float]]


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--markets", type=int, default=500)


def rows(options: dict[str, Any]) -> list[Row]:
    """Medians over the closes; baselines are the ways of Django's documentation, and computing instead of reading."""
    count = options["markets"]
    if not 1 <= count <= 5000:
        raise CommandError(f"--markets must be from 1 to 5000, not {count}.")
    with own_database(), _own_redis():
        markets = _markets(count)
        walk = random_walk(HISTORY + 3 * CLOSES, 42)
        _store_history(markets, walk[:HISTORY])
        taken = _closes(markets, walk, SIX, HISTORY)
        every = _closes(markets, walk, tuple(INDICATORS), HISTORY + CLOSES)
        plain = _orm_close(markets[:ORM_MARKETS], walk, HISTORY + 2 * CLOSES) * count / min(count, ORM_MARKETS)
        reading = _reading(markets, walk, HISTORY + 2 * CLOSES + 1)
    return [*_close_rows(count, taken, every, plain), *reading]


def _close_rows(count: int, taken: Taken, every: Taken, plain: float) -> list[Row]:
    name = f"closed candle of {count} markets"
    total = median(map(sum, zip(*taken.values(), strict=True)))
    return [
        row(f"{name}: store, {len(SIX)} indicators, snapshots; baseline by ORM", total, "ms", plain),
        *(row(f"{name}: {part}", median(times), "ms") for part, times in taken.items()),
        row(f"{name}: all {len(INDICATORS)} indicators, snapshots", median(every["indicators, snapshots"]), "ms"),
    ]


@contextmanager
def _own_redis() -> Iterator[None]:
    """One that nobody else sees."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Redis(folder / "redis", folder / "log", ports.any_free(), secrets.token_urlsafe(), durable=False)
        server.launch()
        try:
            server.wait_ready()
            with override_settings(REDIS_URL=server.url):
                yield
                cache.of_this_process().store.flush()
        finally:
            server.stop()


def _markets(count: int) -> list[Market]:
    exchange = Exchange.objects.create(slug="benchmark", name="Benchmark", ccxt_id="simulated")
    made = Market.objects.bulk_create(
        Market(exchange=exchange, symbol=f"C{index}/USDT", base=f"C{index}", quote="USDT", tick="0.01", lot="0.0001")
        for index in range(count)
    )
    Feed.objects.bulk_create(Feed(market=market, timeframe=TIMEFRAME) for market in made)
    return made


def _store_history(markets: Sequence[Market], candles: Candles) -> None:
    for start in range(0, len(markets), 50):
        store.upsert_many((market.pk, TIMEFRAME, candles) for market in markets[start : start + 50])
    connection.cursor().execute("ANALYZE")


def _closes(markets: Sequence[Market], walk: Candles, names: tuple[str, ...], begin: int) -> Taken:
    """Milliseconds of the parts, close by close."""
    taken: Taken = {"store": [], "indicators, snapshots": []}
    for index in range(begin, begin + CLOSES):
        stored = _ms(lambda index=index: _store(markets, walk[index : index + 1]))  # type: ignore[misc]
        indicators = _ms(lambda: services.compute_indicators(names=names))
        if index > begin:
            taken["store"].append(stored)
            taken["indicators, snapshots"].append(indicators)
    return taken


def _store(markets: Sequence[Market], candle: Candles) -> None:
    """As a sync does."""
    store.upsert_many((market.pk, TIMEFRAME, candle) for market in markets)
    Feed.objects.update(synced_to=int(candle.time[0]))


def _orm_close(markets: Sequence[Market], walk: Candles, index: int) -> float:
    """Milliseconds of the same through bulk_create, querysets and update_or_create."""
    return _ms(lambda: _close_by_orm(markets, walk, index))


def _close_by_orm(markets: Sequence[Market], walk: Candles, index: int) -> None:
    columns, values = ["time", *VALUES], dict(zip(("time", *VALUES), walk.row(index), strict=True))
    Candle.objects.bulk_create(
        [Candle(market=market, timeframe=TIMEFRAME, **values) for market in markets],
        update_conflicts=True,
        unique_fields=["market", "timeframe", "time"],
        update_fields=list(VALUES),
    )
    for market in markets:
        last = Candle.objects.filter(market=market, timeframe=TIMEFRAME).order_by("-time")[:WINDOW]
        candles = Candles.from_rows(reversed(last.values_list(*columns)))
        for name in SIX:
            latest = {output: float(column[-1]) for output, column in compute(name, candles).items()}
            found = {"time": values["time"], "values": latest}
            IndicatorSnapshot.objects.update_or_create(found, market=market, timeframe=TIMEFRAME, name=name)


def _ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _reading(markets: Sequence[Market], walk: Candles, begin: int) -> list[Row]:
    """Charts that are looked at while candles close: time of a read that finds its columns, and how many do."""
    random, charts = np.random.RandomState(1), [(market, name) for market in markets for name in SIX][:CHARTS]
    weights = 1.0 / np.arange(1, len(charts) + 1)
    chosen = random.choice(len(charts), (CLOSES - 1, READS), p=weights / weights.sum())
    taken: list[float] = []
    computed_at_all = 0
    for close, round_ in enumerate(chosen.tolist()):
        candle = walk[begin + close : begin + close + 1]
        _store(markets, candle)
        cache.of_this_process().store.flush()  # as a timer does every five seconds
        services.compute_indicators(names=SIX)
        found = [_read(charts[chart], int(candle.time[0])) for chart in round_]
        if close:  # before the first close nobody had looked at anything
            taken += [ms for ms, cold in found if not cold]
            computed_at_all += sum(cold for _, cold in found)
    plain = median(_ms(lambda: computed((markets[0].pk, TIMEFRAME), ["macd"], WINDOW, last=10**15)) for _ in range(20))
    hits = 100 * len(taken) / (len(taken) + computed_at_all)
    return [
        row("cached read of one indicator, p50; baseline computed", median(taken), "ms", plain),
        row("cached read of one indicator, p95", quantiles(taken, n=20)[-1], "ms"),
        row(f"hit rate while candles close, {len(taken) + computed_at_all:,} reads of {len(charts)} charts", hits, "%"),
    ]


def _read(chart: tuple[Market, str], last: int) -> tuple[float, bool]:
    """Milliseconds, and whether it had to be computed."""
    (market, name), cold = chart, list[str]()

    def missing() -> dict[str, Any]:
        cold.append(name)
        return computed((market.pk, TIMEFRAME), [name], WINDOW, last)[name]

    series = (market.pk, TIMEFRAME)
    return _ms(lambda: cache.fetch(cache.INDICATORS, key(series, name), last, missing)), bool(cold)
