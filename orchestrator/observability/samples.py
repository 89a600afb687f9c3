"""Percentiles over any stretch of time: the counts are sampled into rows, and two rows tell what lies between."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import CollectorRegistry

from orchestrator.models import Finding, Sample
from orchestrator.observability import counted
from orchestrator.observability.metrics import SECONDS, registry

KEEP_DAYS = 7
# Prometheus' name of a metric -> (what it is called here, the label that names the row).
SAMPLED = {
    "orchestrator_request_seconds": (Sample.Metric.REQUEST, "view"),
    "orchestrator_query_seconds": (Sample.Metric.QUERY, "operation"),
    "orchestrator_task_seconds": (Sample.Metric.TASK, "task"),
    "orchestrator_task_wait_seconds": (Sample.Metric.WAIT, "task"),
    "orchestrator_cycle_seconds": (Sample.Metric.CYCLE, "mode"),
    "orchestrator_signal_latency_seconds": (Sample.Metric.SIGNAL, ""),
    "orchestrator_order_latency_seconds": (Sample.Metric.ORDER, ""),
}
_INDEX = {f"{bound}": index for index, bound in enumerate(SECONDS)} | {"+Inf": len(SECONDS)}
Buckets = list[int]  # counts up to each of SECONDS, then all


class Key(NamedTuple):
    metric: str
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """How often, and how long in milliseconds."""

    metric: str
    name: str
    count: int
    p50: float
    p95: float
    p99: float


def current(counts: CollectorRegistry | None = None) -> dict[Key, Buckets]:
    """Counts of this machine's processes since they were started; or of others, that registry's."""
    found: dict[Key, Buckets] = defaultdict(_none)
    for family in (counts or registry()).collect():
        if family.name in SAMPLED:
            metric, label = SAMPLED[family.name]
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    key = Key(str(metric), sample.labels.get(label, "")[:100])
                    found[key][_INDEX[sample.labels["le"]]] += int(sample.value)
    return {key: buckets for key, buckets in sorted(found.items()) if buckets[-1]}


def pool(counts: CollectorRegistry | None = None) -> dict[str, float]:
    """What the web processes of this machine say of their database connections: psycopg_pool's names, summed up."""
    families = (family for family in (counts or registry()).collect() if family.name == "orchestrator_pool")
    return {sample.labels["figure"]: sample.value for family in families for sample in family.samples}


def page_store() -> dict[str, int]:
    """How often pages were found in front of Django ("hit") and not ("miss"), since the processes were started."""
    families = (family for family in registry().collect() if family.name == "orchestrator_page_store")
    return {one.labels["outcome"]: int(one.value) for f in families for one in f.samples if "outcome" in one.labels}


def take() -> int:
    """Store what changed since the last sample of this machine; rows written."""
    counted.gather_ended()
    host = counted.place()
    known = _latest(Sample.objects.filter(host=host))
    fresh = [
        Sample(host=host, metric=key.metric, name=key.name, buckets=buckets)
        for key, buckets in current().items()
        if known.get((host, key)) != buckets
    ]
    return len(Sample.objects.bulk_create(fresh))


def since_start() -> list[Summary]:
    """What this machine's processes did since they were started; nothing of it need be stored."""
    return [summary(key, buckets) for key, buckets in current().items()]


def between(since: datetime, until: datetime) -> list[Summary]:
    """What all machines did from the last sample up to since until the last one up to until."""
    before = _latest(Sample.objects.filter(time__lte=since))
    series: dict[tuple[str, Key], list[Buckets]] = defaultdict(lambda: [_none()])
    series |= {row: [buckets] for row, buckets in before.items()}
    for one in Sample.objects.filter(time__gt=since, time__lte=until).order_by("time"):
        series[one.host, Key(one.metric, one.name)].append(one.buckets)
    totals: dict[Key, Buckets] = defaultdict(_none)
    for (_, key), rows in series.items():
        for buckets in _growth(rows):
            totals[key] = _sum(totals[key], buckets)
    return [summary(key, buckets) for key, buckets in sorted(totals.items()) if buckets[-1]]


def _none() -> Buckets:
    return [0] * (len(SECONDS) + 1)


def _sum(one: Buckets, other: Buckets) -> Buckets:
    return [a + b for a, b in zip(one, other, strict=True)]


def _latest(samples: QuerySet[Sample]) -> dict[tuple[str, Key], Buckets]:
    """The last of each machine, metric and name."""
    last = samples.order_by("host", "metric", "name", "-time").distinct("host", "metric", "name")
    return {(one.host, Key(one.metric, one.name)): one.buckets for one in last}


def _growth(rows: Sequence[Buckets]) -> list[Buckets]:
    """What was added from each row to the next; processes that were started anew count from zero."""
    return [
        [b - a for a, b in zip(earlier, later, strict=True)] if earlier[-1] <= later[-1] else later
        for earlier, later in pairwise(rows)
    ]


def summary(key: Key, buckets: Buckets) -> Summary:
    return Summary(*key, buckets[-1], *(1000.0 * percentile(buckets, share) for share in (0.5, 0.95, 0.99)))


def percentile(buckets: Buckets, share: float) -> float:
    """Seconds that this share of the counts stayed below: a straight line within its bucket, as Prometheus has it.

    Above the last bound it is that bound.
    """
    wanted = share * buckets[-1]
    index = bisect_left(buckets, wanted)
    if index >= len(SECONDS):
        return SECONDS[-1]
    low, below = (SECONDS[index - 1], buckets[index - 1]) if index else (0.0, 0)
    inside = buckets[index] - below
    return low + (SECONDS[index] - low) * ((wanted - below) / inside if inside else 0.0)


def apply_retention() -> int:
    """Delete samples and findings past their time; rows deleted."""
    oldest = timezone.now() - timedelta(days=KEEP_DAYS)
    return Sample.objects.filter(time__lt=oldest).delete()[0] + Finding.objects.filter(time__lt=oldest).delete()[0]
