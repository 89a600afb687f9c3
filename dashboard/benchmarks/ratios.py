"""Ratios that hold on any machine, however busy: what was built against what it is measured by, in one run.

Processor time of this process and of its database connection, the best of several turns taken in rotation; and counts,
which are exact. Lower is better everywhere. `manage.py check_performance` compares them with those of docs/ratios.json.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from statistics import geometric_mean
from typing import Any, TypeAlias

import numpy as np
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection
from django.test import Client
from redis import Redis

from bots import load
from bots.benchmarks import engine
from dashboard.benchmarks import pages
from markets import candles as store
from markets.benchmarks.candles import bulk_create, empty_table
from markets.benchmarks.walk import random_walk
from markets.models import Market
from markets.windows import computed
from orchestrator import cache
from orchestrator.benchmarks import Queries, Row, own_database, row

Ratios: TypeAlias = dict[str, float]
Work: TypeAlias = Callable[[], Any]
TURNS, ENGINE_TURNS = 9, 41
PASSES = 20  # of a bare pass in one turn
READS = 300  # of the cache in one turn: a few are as fast as the moment has it
BYTES = 12_225  # of the indicator that is read
BARS = 131_400  # a quarter of minutes
MANY, FEW = 50_000, 2_500  # candles: stored by our way, and by Django's, which takes that much longer
BOTS, TRADES, MARKETS = 60, 30_000, 12


def add_arguments(parser: CommandParser) -> None:
    """Nothing can be chosen."""


def rows(options: dict[str, Any]) -> list[Row]:
    with own_database():
        prepare()
        return [row(name, value, "") for measure in GROUPS.values() for name, value in measure().items()]


def prepare() -> None:
    """What the groups look at, in the present database, which is theirs."""
    load.seed(BOTS, TRADES, MARKETS, pages.USER)


def engine_ratios() -> Ratios:
    """Each kind against all of them, and all of them against a bare compiled pass over the same candles.

    A pass without branches or memory of its own tells little of a kind on another processor; the other kinds do.
    """
    candles, curve = random_walk(BARS, 42), np.empty(BARS)
    kinds: dict[str, Work] = {slug: engine.work(slug, params, candles) for slug, params in engine.JOBS.items()}
    # So short that a turn is many of them.
    passes = {"": lambda: [engine.bare_pass(candles.low, candles.high, candles.close, curve) for _ in range(PASSES)]}
    spent = best(kinds | passes, ENGINE_TURNS)
    bare = spent.pop("") / PASSES
    kind = geometric_mean(spent.values())
    return {"engine: a kind / bare pass": kind / bare} | {
        f"engine: {slug} / a kind": seconds / kind for slug, seconds in spent.items()
    }


def candle_ratios() -> Ratios:
    """A stored candle against Django's bulk_create."""
    market, made = Market.objects.order_by("pk")[0], random_walk(MANY, 42)
    spent = {
        "upsert of new": _fresh(lambda: store.upsert(market.pk, 60, made)) / MANY,
        "upsert of unchanged": best({"": lambda: store.upsert(market.pk, 60, made)}, 3)[""] / MANY,
    }
    django = _fresh(lambda: bulk_create(market, made[:FEW])) / FEW
    return {f"candles: {name} / bulk_create": seconds / django for name, seconds in spent.items()}


def _fresh(work: Work) -> float:
    """The best of some turns, each into an empty table."""
    taken = []
    for _ in range(3):
        empty_table()
        taken.append(_spent(work))
    return min(taken)


def cache_ratios() -> Ratios:
    """An indicator out of the cache against Redis being asked for as many bytes, and nothing done with them.

    Both cost twice as much where the kernel has put Redis on another processor than this process.
    """
    market, made = Market.objects.order_by("pk")[0], random_walk(5_000, 42)
    store.upsert(market.pk, 60, made)

    def compute() -> Any:
        return computed((market.pk, 60), ["macd"], 500, last=10**15)

    def read() -> Any:
        return [cache.fetch(cache.INDICATORS, "ratios", 1, compute) for _ in range(READS)]

    read()
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.set("ratios", b"x" * BYTES)
        spent = best({"read": read, "asked": lambda: [redis.get("ratios") for _ in range(READS)]})
        redis.delete("ratios")
    return {"cache: read of an indicator / Redis asked for its bytes": spent["read"] / spent["asked"]}


def page_ratios() -> Ratios:
    """Each page: queries, bytes as sent, and processor time against pages of Django's own."""
    client, turns, found = pages.visitor(), count(), dict[str, float]()
    stranger = Client(SERVER_NAME="localhost")
    works: dict[str, Work] = {"": partial(_djangos_own, stranger)}
    for page in pages.pages():
        open_ = works[page.name] = partial(_opened, client, page.path, turns)
        open_()
        with Queries(connection) as queries:
            answer = open_()
        found[f"page {page.name}: queries"] = len(queries)
        found[f"page {page.name}: kB"] = len(answer.content) / 1000
    spent = best(works, 5)
    return found | {f"page {name}: time / Django's own": spent[name] / spent[""] for name in works if name}


def _opened(client: Client, path: str, turns: Iterator[int]) -> Any:
    """The page as nobody has asked for it before."""
    return client.get(f"{path}{'&' if '?' in path else '?'}fresh={next(turns)}", headers={"Accept-Encoding": "gzip"})


def _djangos_own(client: Client) -> Any:
    """A page of Django's own, as hungry for the processor's caches as ours: a busy machine slows both down alike."""
    return [client.get("/admin/login/?next=/") for _ in range(4)]


GROUPS: Mapping[str, Callable[[], Ratios]] = {
    "engine": engine_ratios,
    "candles": candle_ratios,
    "cache": cache_ratios,
    "pages": page_ratios,
}


def best(works: Mapping[str, Work], turns: int = TURNS) -> dict[str, float]:
    """Seconds of processor that each takes at best; in rotation, so that a slow moment meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            taken[name].append(_spent(work))
    return {name: min(times) for name, times in taken.items()}


def _spent(work: Work) -> float:
    """Of this process and of the server's process behind its connection, where that runs on this machine."""
    file = _accounts()
    ours, theirs = time.process_time(), _cpu_seconds(file)
    work()
    return time.process_time() - ours + _cpu_seconds(file) - theirs


def _accounts() -> Path | None:
    """Linux's account of the server's process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        file = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    return file if os.access(file, os.R_OK) else None


def _cpu_seconds(file: Path | None) -> float:
    return int(file.read_text().split()[0]) / 1e9 if file else 0.0
