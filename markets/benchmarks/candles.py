"""The candle store against what Django does by itself, on a database of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from django.core.management.base import CommandError, CommandParser
from django.db import connection, transaction

from markets import candles as store
from markets.benchmarks.walk import FIRST_MS, random_walk
from markets.models import Candle, Exchange, HistoryBlock, Market
from markets.series import VALUES, Candles
from orchestrator.benchmarks import Row, median_ms, own_database, row

MINUTE = 60
WINDOW = 500  # candles of a chart
ROUNDS = 5
MOST = 100_000_000


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--candles", type=int, default=500_000, help="To be stored at once.")
    parser.add_argument("--history", type=int, default=525_600, help="To be loaded: a year of minutes.")
    parser.add_argument("--table", type=int, default=10_000_000, help="Rows in the table for the latest candles.")
    parser.add_argument("--markets", type=int, default=500, help="Markets that these rows are of.")


def rows(options: dict[str, Any]) -> list[Row]:
    sizes = {name: options[name] for name in ("candles", "history", "table", "markets")}
    for name, size in sizes.items():
        if not 1 <= size <= MOST:
            raise CommandError(f"{name} must be from 1 to {MOST:,}, not {size}.")
    with own_database():
        return measured(**sizes)


def measured(candles: int, history: int, table: int, markets: int) -> list[Row]:
    """The rows, on the database that is connected: its candles are thrown away."""
    exchange = Exchange.objects.create(slug="benchmark", name="Benchmark", ccxt_id="simulated", enabled=False)
    made = Market.objects.bulk_create(
        Market(exchange=exchange, symbol=f"C{n}/USDT", base=f"C{n}", quote="USDT", tick="0.01", lot="0.00001")
        for n in range(markets)
    )
    return [*_storing(made[0], candles), *_loading(made[0], history), *_latest(made, table)]


def _walk(count: int) -> Candles:
    """With volumes of five places, as exchanges have them."""
    volume = np.round(np.random.RandomState(7).gamma(2.0, 10.0, count), 5)
    return replace(random_walk(count, 42), volume=volume)


def empty_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE markets_candle, markets_historyblock")


def _per_second(count: int, work: Callable[[], Any], before: Callable[[], None] = lambda: None) -> float:
    """Rows a second, the median of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        before()
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return count / float(np.median(taken))


def _storing(market: Market, count: int) -> list[Row]:
    made = _walk(count)
    part = made[: max(1, count // 10)]  # Django takes long, and the same for every row
    django = _per_second(len(part), lambda: bulk_create(market, part), empty_table)
    fresh = _per_second(count, lambda: store.upsert(market.pk, MINUTE, made), empty_table)
    same = _per_second(count, lambda: store.upsert(market.pk, MINUTE, made))
    revised = replace(made, volume=np.where(np.arange(count) % 100, made.volume, made.volume + 1.0))
    turns = iter([revised, made] * ROUNDS)
    few = _per_second(count, lambda: store.upsert(market.pk, MINUTE, next(turns)))
    return [
        row(f"upsert of {count:,} new candles; baseline bulk_create(update_conflicts)", fresh, "rows/s", django),
        row(f"upsert of {count:,} unchanged candles; the same baseline", same, "rows/s", django),
        row(f"upsert of {count:,} candles, a hundredth revised; the same baseline", few, "rows/s", django),
    ]


def bulk_create(market: Market, made: Candles) -> None:
    Candle.objects.bulk_create(
        (
            Candle(market=market, timeframe=MINUTE, time=at, open=open_, high=high, low=low, close=close, volume=volume)
            for at, open_, high, low, close, volume in made.rows()
        ),
        batch_size=2000,
        update_conflicts=True,
        unique_fields=["market", "timeframe", "time"],
        update_fields=VALUES,
    )


def _loading(market: Market, count: int) -> list[Row]:
    empty_table()
    store.upsert(market.pk, MINUTE, _walk(count))
    _analyze()

    def load() -> Candles:
        return store.load(market.pk, MINUTE)

    end = FIRST_MS + max(1, count // 10) * MINUTE * 1000
    django = _per_second(max(1, count // 10), lambda: _by_django(market, end))
    cold = _per_second(count, load, lambda: HistoryBlock.objects.all().delete() and None)
    baseline_ms = 1000.0 * count / django
    name = f"load of {count:,} candles into arrays"
    return [
        row(f"{name}, cold, blocks made; baseline the ORM", cold, "rows/s", django),
        row(f"{name}, read before; the same baseline", median_ms(load, 2 * ROUNDS), "ms", baseline_ms),
    ]


def _by_django(market: Market, end: int) -> Candles:
    found = Candle.objects.filter(market=market, timeframe=MINUTE, time__lt=end).order_by("time")
    return Candles.from_rows((c.time, c.open, c.high, c.low, c.close, c.volume) for c in found)


def _latest(markets: list[Market], count: int) -> list[Row]:
    """Time in the database of the query that a chart asks, a different market each time."""
    each = max(WINDOW, count // len(markets))
    began = time.perf_counter()
    _fill(each)
    filled = time.perf_counter() - began
    chosen = [markets[n] for n in np.random.RandomState(3).permutation(len(markets))[:50]]
    executed = float(np.median([_executed_ms(market) for market in chosen]))
    turns = iter(chosen * 2)
    client = median_ms(lambda: store.load(next(turns).pk, MINUTE, limit=WINDOW), len(chosen))
    name = f"latest {WINDOW} candles of one of {len(markets)} markets in {each * len(markets):,} rows"
    return [
        row(f"{name}, in the database", executed, "ms"),
        row(f"{name}, as arrays", client, "ms"),
        row(f"to fill that table first, {each * len(markets):,} rows", filled, "s"),
    ]


def _fill(each: int) -> None:
    """Rows in the order in which feeds bring them: all markets of a minute, then the next minute."""
    empty_table()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO markets_candle (market_id, timeframe, time, open, high, low, close, volume) "
            "SELECT market.id, %s, %s + minute * 60000, 100 + minute %% 10, 111, 99, 100 + minute %% 7, market.id "
            "FROM generate_series(0, %s - 1) AS minute CROSS JOIN markets_market AS market",
            [MINUTE, FIRST_MS, each],
        )
    _analyze()


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE markets_candle")


def _executed_ms(market: Market) -> float:
    """Planning and execution as the server says; the second time, so that it is not the disk which is measured."""
    query = store.rows_query(market.pk, MINUTE, limit=WINDOW)
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}")
            (found,) = cursor.fetchone()
    (plan,) = found if isinstance(found, list) else json.loads(found)
    return float(plan["Planning Time"] + plan["Execution Time"])
