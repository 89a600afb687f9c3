"""The tables of the system page: every cell is text already."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dashboard import formats
from dashboard.system import database, jobs, processes
from markets.models import Feed
from orchestrator import cache
from orchestrator.cache import report
from orchestrator.models import Finding, Sample
from orchestrator.observability import samples
from orchestrator.observability.samples import Summary

MOST, FEEDS = 50, 20


@dataclass(frozen=True, slots=True)
class Table:
    """columns: (heading, whether its cells are numbers); empty: what to say when there are no rows."""

    name: str
    title: str
    columns: list[tuple[str, bool]]
    rows: list[list[Any]]
    empty: str
    note: str = ""
    cells: list[list[tuple[Any, bool]]] = field(init=False)

    def __post_init__(self) -> None:
        numeric = [number for _, number in self.columns]
        object.__setattr__(self, "cells", [list(zip(row, numeric, strict=True)) for row in self.rows])


def all_tables(summaries: list[Summary], now: datetime, broker: jobs.Broker) -> list[Table]:
    return [
        _times("requests", "Pages", Sample.Metric.REQUEST, summaries, "No page was asked for.", _page_store()),
        _times("tasks", "Tasks", Sample.Metric.TASK, summaries, "No task ran: is there a worker?"),
        _times("queries", "Queries", Sample.Metric.QUERY, summaries, "None."),
        _times("cycles", "Trading cycles", Sample.Metric.CYCLE, summaries, "No bot saw a candle."),
        _findings(now),
        _jobs(now, broker),
        _processes(now),
        _pool(),
        _cache(),
        _feeds(now),
        _tables(),
        _statements(),
    ]


def _page_store() -> str:
    found = samples.page_store()
    hits, looked = found.get("hit", 0), sum(found.values())
    return f"{hits:,} of {looked:,} were answered in front of Django ({hits / looked:.0%})." if looked else ""


def _times(name: str, title: str, metric: str, summaries: list[Summary], empty: str, note: str = "") -> Table:
    columns = [("Name", False), ("Count", True), ("p50, ms", True), ("p95, ms", True), ("p99, ms", True)]
    chosen = sorted((one for one in summaries if one.metric == metric), key=lambda one: -one.p95)
    rows = [[one.name, f"{one.count:,}", *(f"{ms:,.1f}" for ms in (one.p50, one.p95, one.p99))] for one in chosen]
    return Table(name, title, columns, rows, empty, note)


def _findings(now: datetime) -> Table:
    columns = [("When", False), ("What", False), ("Where", False), ("ms", True), ("Queries", True), ("Seen", True)]
    columns += [("User", False), ("Statement", False)]
    rows = [
        [formats.when(one.time, now), one.get_kind_display(), one.path or one.place, f"{one.milliseconds:,.0f}",
         f"{one.count:,}", f"{one.seen:,}", one.user or "", one.statement]
        for one in Finding.objects.select_related("user")[:MOST]
    ]  # fmt: skip
    return Table("findings", "Slow and repeated", columns, rows, "Nothing was slow in the last days.")


def _jobs(now: datetime, broker: jobs.Broker) -> Table:
    workers, waiting = broker.workers, broker.waiting
    says = "The broker does not answer." if workers is None else f"{len(workers)} workers answer: {', '.join(workers)}."
    queue = "" if waiting is None else f" {waiting:,} messages wait."
    columns = [("Job", False), ("Every", False), ("Last", False), ("Next", False), ("Starts", True)]
    rows = [
        [one.name, str(one.every or ""), formats.when(one.last, now), _due(one, now), f"{one.runs:,}"]
        for one in jobs.jobs()
    ]
    return Table(
        "jobs", "Workers and jobs", columns, rows, "There are no jobs: run manage.py sync_schedules.", says + queue
    )


def _due(job: jobs.Job, now: datetime) -> str:
    if job.is_overdue(now):
        return "overdue"
    if job.is_ahead(now):
        return "started in the future: was the clock set back?"
    return f"in {max((job.due - now).total_seconds(), 0):.0f} s" if job.due else "when beat looks"


def _processes(now: datetime) -> Table:
    machine, found = processes.machine(), processes.processes()
    total, memory = (
        _mb(sum(one.memory for one in found)),
        f"{_mb(machine.available)} of {_mb(machine.memory)} MB memory",
    )
    note = (
        f"{machine.cores} cores, load {machine.load[0]:.2f}; {memory} and {_mb(machine.disk_free)} MB of disk free. "
        f"All processes: {total} MB."
    )
    columns = [("Process", False), ("PID", True), ("MB", True), ("CPU, s", True), ("Threads", True), ("Started", False)]
    rows = [
        [one.command, str(one.pid), _mb(one.memory), f"{one.cpu_seconds:,.0f}", str(one.threads), started]
        for one, started in ((one, formats.when(one.started, now)) for one in found)
    ]
    empty = "Not started by make run: ask what started them."
    return Table("processes", "Processes of this machine", columns, rows, empty, note)


def _pool() -> Table:
    rows = [[formats.words(name), f"{value:,.0f}"] for name, value in sorted(samples.pool().items())]
    used, most = database.connections()
    note = f"{used} of {most} connections of the server are in use."
    return Table(
        "pool", "Connection pool", [("Figure", False), ("Sum", True)], rows, "No pool: not a web process.", note
    )


def _feeds(now: datetime) -> Table:
    columns = [("Feed", False), ("Timeframe", True), ("Behind, s", True), ("Says", False)]
    feeds = list(Feed.objects.alive().select_related("market__exchange"))
    behind = {feed.pk: now.timestamp() - (feed.synced_to or 0) / 1000 - feed.timeframe for feed in feeds}
    feeds.sort(key=lambda feed: (not feed.error, -behind[feed.pk]))
    rows = [
        [
            str(feed.market),
            feed.get_timeframe_display(),
            f"{behind[feed.pk]:,.0f}" if feed.synced_to else "never",
            feed.error,
        ]
        for feed in feeds[:FEEDS]
    ]
    note = f"{len(feeds)} feeds, those furthest behind first."
    return Table("feeds", "Feeds", columns, rows, "No feed is wanted: add one in the admin.", note)


def _tables() -> Table:
    columns = [
        ("Table", False),
        ("Rows", True),
        ("MB", True),
        ("Indexes, MB", True),
        ("By index", True),
        ("Read whole", True),
    ]
    rows = [
        [one.name, f"{one.rows:,}", _mb(one.size), _mb(one.index_size), f"{one.index_reads:,}", f"{one.whole_reads:,}"]
        for one in database.tables()
    ]
    return Table("database", "Database tables", columns, rows, "There are none.")


def _cache() -> Table:
    told = report.report(cache.of_this_process())
    rows = [list(report.cells(line)) for line in told.lines if line.figures.reads]
    return Table("cache", "Cache, 24 h", list(report.COLUMNS), rows, told.outage or "Nothing was asked for.")


def _statements() -> Table:
    found = database.statements()
    columns = [("Statement", False), ("Calls", True), ("Mean, ms", True), ("Total, s", True), ("Rows", True)]
    rows = [
        [one.text, f"{one.calls:,}", f"{one.mean:,.2f}", f"{one.total / 1000:,.1f}", f"{one.rows:,}"]
        for one in found or []
    ]
    empty = database.STATEMENTS_HINT if found is None else "None yet."
    return Table("statements", "Costliest statements", columns, rows, empty)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"
