"""What speaking with an exchange costs before anything is said: loading its class, and a turn in the budget."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from django.core.management.base import CommandParser

from markets.budget import Budget
from orchestrator.benchmarks import Row, median_ms, row
from orchestrator.home import PROJECT

ROUNDS, TURNS = 5, 500
_LOAD = """
import re, time
def resident():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmRSS:\\s+(\\d+)", status.read())[1]) / 1024
from markets import surface
before, began = resident(), time.perf_counter()
{load}
print(1000 * (time.perf_counter() - began), resident() - before)
"""
_WHOLE = "import ccxt; ccxt.binance"
_ONE = "from markets.gateway_loading import exchange_class; exchange_class('binance')"
_WHOLE_STREAM = "import ccxt.pro; ccxt.pro.binance"
_ONE_STREAM = "from markets.gateway_loading import stream_class; stream_class('binance')"


def add_arguments(parser: CommandParser) -> None:
    """Nothing can be chosen."""


def rows(options: dict[str, Any]) -> list[Row]:
    """The baseline is ccxt as it is imported everywhere. Linux only: memory is read from /proc."""
    (whole_ms, whole_mib), (one_ms, one_mib) = _median(_WHOLE), _median(_ONE)
    (whole_stream_ms, whole_stream_mib), (stream_ms, stream_mib) = _median(_WHOLE_STREAM), _median(_ONE_STREAM)
    budget = Budget("Benchmark", "benchmark", 1e-6)

    def turns() -> None:
        for _ in range(TURNS):
            budget.take(0.0)

    turn = median_ms(turns, ROUNDS) / TURNS
    return [
        row("load one exchange of ccxt, time", one_ms, "ms", whole_ms),
        row("load one exchange of ccxt, memory", one_mib, "MiB", whole_mib),
        row("load the websocket side of one exchange, time", stream_ms, "ms", whole_stream_ms),
        row("load the websocket side of one exchange, memory", stream_mib, "MiB", whole_stream_mib),
        row("a turn in the request budget, Redis on this machine", turn, "ms"),
    ]


def _median(load: str) -> tuple[float, float]:
    """(milliseconds, MiB), each in a process of its own."""
    found = [_measured(load) for _ in range(ROUNDS)]
    return statistics.median(ms for ms, _ in found), statistics.median(mib for _, mib in found)


def _measured(load: str) -> tuple[float, float]:
    program = [sys.executable, "-c", _LOAD.replace("{load}", load)]
    told = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60).stdout
    milliseconds, mebibytes = map(float, told.split())
    return milliseconds, mebibytes
