"""A sweep of many parameter sets, measured in a process of its own: its time and all the memory it took."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, islice
from pathlib import Path

import django

from bots.engine.types import Terms
from bots.kinds import KINDS
from bots.sweep import Series, sweep
from markets.benchmarks.walk import random_walk
from orchestrator.benchmarks import Row, row

FAST_AND_SLOW = range(10, 102, 2)  # 46 averages, 1,035 pairs
CORES = 2


def measure_sweep(bars: int, pairs: int, terms: Terms, money: float, baseline: float) -> list[Row]:
    """What a sweep of the SMA job takes, indicators and all; baseline, ms, of its time."""
    # A fresh process: memory that other jobs took does not count, and nothing is computed yet.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), django.setup) as pool:
        taken, memory = pool.submit(_measure, bars, pairs, terms, money).result()
    name = f"sweep of {pairs:,} SMA pairs, {CORES} cores"
    return [
        row(f"{name}, trades counted, final equity, drawdown", taken, "ms", baseline),
        row(f"{name}, peak memory of the process", memory, "MB"),
    ]


def _measure(bars: int, pairs: int, terms: Terms, money: float) -> tuple[float, float]:
    """(milliseconds, megabytes at most)."""
    kind, series = KINDS["signal"], Series(random_walk(bars, 42), 60, {})
    sets = [_crosses(fast, slow) for fast, slow in islice(combinations(FAST_AND_SLOW, 2), pairs)]
    sweep(kind, sets[:1], terms, money, series)  # loads the machine code
    began = time.perf_counter()
    sweep(kind, sets, terms, money, series, threads=CORES)
    return 1000.0 * (time.perf_counter() - began), _peak_memory()


def _crosses(fast: int, slow: int) -> dict[str, str]:
    pair = f"sma({fast}) crosses {{}} sma({slow})"
    return {"long_entry": pair.format("above"), "long_exit": pair.format("below")}


def _peak_memory() -> float:
    """Most memory that was resident, MB, since the process began (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
