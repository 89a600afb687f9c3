"""What is counted: the one table of metrics, as prometheus_client keeps them.

Every process counts into files of its own (PROMETHEUS_MULTIPROC_DIR, memory-mapped, some microseconds a count), so
whoever reads them sees all processes of this machine together: /metrics, the system page, the samples of the beat job.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, multiprocess, values

from orchestrator.observability import counted

# Containers count their processes from 1 each, and may share the folder.
values.ValueClass = values.MultiProcessValue(lambda: f"{socket.gethostname()}-{os.getpid()}")  # type: ignore[no-untyped-call]

# From a quarter of a millisecond to half a minute, each a third above the one before: a percentile is off by a sixth.
SECONDS = [round(0.00025 * 1.35**power, 6) for power in range(40)]
COUNTS = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256]

REQUESTS = Histogram(
    "orchestrator_request_seconds", "Time to the first byte.", ["view", "method", "status"], buckets=SECONDS
)
REQUEST_QUERIES = Histogram("orchestrator_request_queries", "Queries of a request.", ["view"], buckets=COUNTS)
QUERIES = Histogram("orchestrator_query_seconds", "Time of a query.", ["operation"], buckets=SECONDS)
CACHE_READS = Counter("orchestrator_cache_reads", "Keys that requests asked the cache for.", ["policy", "outcome"])
TASKS = Histogram("orchestrator_task_seconds", "Run time of a task.", ["task", "state"], buckets=SECONDS)
TASK_WAITS = Histogram("orchestrator_task_wait_seconds", "From sending a task to its start.", ["task"], buckets=SECONDS)
CYCLES = Histogram("orchestrator_cycle_seconds", "Leading all due runs once.", ["mode"], buckets=SECONDS)
CYCLE_RUNS = Counter("orchestrator_cycle_runs", "Runs that saw candles.", ["mode"])
SIGNAL_LATENCY = Histogram(
    "orchestrator_signal_latency_seconds", "From a stored candle to stored orders.", buckets=SECONDS
)
ORDER_LATENCY = Histogram(
    "orchestrator_order_latency_seconds", "From a stored order to the exchange's answer.", buckets=SECONDS
)
FINDINGS = Counter("orchestrator_findings", "Slow requests, slow or repeated queries, slow tasks.", ["kind"])
PAGE_STORE = Counter("orchestrator_page_store", "Pages looked for in front of Django.", ["outcome"])
POOL = Gauge("orchestrator_pool", "Database connections of the web processes.", ["figure"], multiprocess_mode="livesum")


class _Counts(multiprocess.MultiProcessCollector):
    """Reads while no file is taken away."""

    def collect(self) -> list[Metric]:
        with counted.reading(Path(self._path)):
            return list(super().collect())  # type: ignore[no-untyped-call]


def registry(folder: str | None = None) -> CollectorRegistry:
    """All metrics, over all processes of this machine; or of those that count into another folder."""
    found = CollectorRegistry()
    _Counts(found, path=folder)  # type: ignore[no-untyped-call]
    return found


def forget_this_process() -> None:
    """Leave nothing of a short-lived process that counts nothing: all who read would have to read its files."""
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob(f"*_{socket.gethostname()}-{os.getpid()}.db"):
        path.unlink(missing_ok=True)
