"""The budgets of the platform, and what holds them or not: read by the system page and by audit_performance.

What was too rare to judge is not judged; a check that could not be made says so and is no success.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dashboard import formats
from dashboard.system import database, jobs
from markets.models import Feed
from orchestrator.models import Finding, Sample
from orchestrator.observability import samples
from orchestrator.observability.samples import Summary

RARE = 20  # counts below which percentiles say nothing
FINDINGS_DAYS = 1
# Metric -> (what it is, milliseconds that 95 % may take, what to do). Requests include those that no cache answered.
BUDGETS: dict[str, tuple[str, float, str]] = {
    Sample.Metric.REQUEST: ("Page", 100.0, "See its queries below; open it as staff and read Server-Timing."),
    Sample.Metric.QUERY: ("Query", 10.0, "See the slow queries below; EXPLAIN them and look for an index."),
    Sample.Metric.WAIT: ("Waiting of task", 5_000.0, "Start another worker, or look for a task that runs for long."),
    Sample.Metric.CYCLE: ("Cycle", 5_000.0, "Start another worker: several share the runs between them."),
    Sample.Metric.SIGNAL: (
        "Candle stored to orders stored",
        10_000.0,
        "See the cycles: the worker comes late or slow.",
    ),
    Sample.Metric.ORDER: ("Order stored to exchange's answer", 5_000.0, "The exchange or the way to it is slow."),
}
# Views that are not pages to wait for: streams of any length and what staff looks at.
UNBOUNDED = {"system", "metrics"}


class Grade(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: the subject, what was found, what is wanted, and what to do where the two differ."""

    subject: str
    value: str
    target: str
    grade: Grade
    advice: str = ""


def checks(summaries: Iterable[Summary], now: datetime, broker: jobs.Broker) -> list[Check]:
    """Everything there is to judge, the worst first. summaries: of the time that is looked at."""
    rows = list(summaries)
    found = [*_times(rows), *_findings(now), *_feeds(now), *_tables(now), *_jobs(now, broker.workers), *_pool()]
    order = [Grade.BROKEN, Grade.WARNING, Grade.GOOD]
    return sorted(found, key=lambda check: order.index(check.grade))


def _times(summaries: list[Summary]) -> Iterator[Check]:
    for one in summaries:
        known = BUDGETS.get(one.metric)
        if known and one.count >= RARE and one.name not in UNBOUNDED and not one.name.startswith("admin:"):
            label, bound, advice = known
            grade = Grade.GOOD if one.p95 <= bound else Grade.BROKEN
            subject = f"{label} {one.name}".strip()
            yield Check(subject, f"p95 {one.p95:,.1f} ms of {one.count:,}", f"≤ {bound:,.0f} ms", grade, advice)


_FINDINGS: dict[str, tuple[str, str]] = {
    Finding.Kind.SLOW_REQUEST: ("Requests over 500 ms", "See them below, each with its address and user."),
    Finding.Kind.SLOW_QUERY: ("Queries over 50 ms", "EXPLAIN the statement; look for an index or fewer rows."),
    Finding.Kind.REPEATED_QUERY: ("One query for every row", "select_related or prefetch_related what the page shows."),
    Finding.Kind.SLOW_TASK: ("Tasks over 30 s", "Cut them into smaller shards."),
}


def _findings(now: datetime) -> Iterator[Check]:
    recent = Finding.objects.filter(time__gt=now - timedelta(days=FINDINGS_DAYS))
    for kind, (label, advice) in _FINDINGS.items():
        seen = sum(recent.filter(kind=kind).values_list("seen", flat=True))
        yield Check(f"{label}, 24 h", f"{seen:,}", "0", Grade.WARNING if seen else Grade.GOOD, advice)


def _feeds(now: datetime) -> Iterator[Check]:
    feeds = list(Feed.objects.alive().only("timeframe", "synced_to", "error"))
    late, failing = sum(feed.late(now) for feed in feeds), sum(bool(feed.error) for feed in feeds)
    grade = Grade.BROKEN if late or failing else Grade.GOOD
    value = f"{late} late, {failing} failing of {len(feeds)}"
    yield Check("Feeds", value, "none", grade, "Look at the feeds in the admin: each says what went wrong.")


def _tables(now: datetime) -> Iterator[Check]:
    whole = [one.name for one in database.tables() if one.is_read_whole]
    advice = "A query misses an index: EXPLAIN the slow queries on them."
    grade = Grade.WARNING if whole else Grade.GOOD
    yield Check("Large tables mostly read whole", ", ".join(whole) or "none", "none", grade, advice)
    since = database.counted_since()
    unused = [f"{one.name} ({one.size / 1e6:.0f} MB)" for one in database.unused_indexes()]
    days = f"since {formats.age(since, now)}" if since else "since the database was made"
    yield Check(
        f"Indexes nobody reads, {days}", ", ".join(unused) or "none", "none",
        Grade.WARNING if unused else Grade.GOOD,
        "After weeks in use, and when no page of yours is rare: drop them; every write pays for them.",
    )  # fmt: skip
    used, most = database.connections()
    tight = Grade.WARNING if used > 0.8 * most else Grade.GOOD
    yield Check(
        "Database connections", f"{used} of {most}", "≤ 80 %", tight, "Lower DB_POOL_MAX or raise max_connections."
    )


def _jobs(now: datetime, workers: list[str] | None) -> Iterator[Check]:
    value = "the broker does not answer" if workers is None else f"{len(workers)} answer"
    grade = Grade.GOOD if workers else Grade.BROKEN
    yield Check("Workers", value, "≥ 1", grade, "Start one: nothing trades without.")
    every = jobs.jobs()
    overdue = [job.name for job in every if job.is_overdue(now)]
    grade = Grade.BROKEN if overdue else Grade.GOOD
    yield Check("Jobs that are overdue", ", ".join(overdue) or "none", "none", grade, "Is beat running? See beat.log.")
    yield _clock(every, now)


def _clock(every: Iterable[jobs.Job], now: datetime) -> Check:
    ahead = [job.name for job in every if job.is_ahead(now)]
    ahead += [str(feed) for feed in Feed.objects.alive() if feed.ahead(now)]
    grade = Grade.BROKEN if ahead else Grade.GOOD
    advice = "The clock was set back: set it right. Jobs go on by themselves, candles when it has caught up."
    return Check("Jobs and feeds ahead of the clock", ", ".join(ahead) or "none", "none", grade, advice)


def _pool() -> Iterator[Check]:
    failed = int(samples.pool().get("requests_errors", 0))
    advice = "Raise DB_POOL_MAX, or find what keeps connections for long."
    grade = Grade.BROKEN if failed else Grade.GOOD
    yield Check("Requests that got no connection", f"{failed:,}", "0", grade, advice)
