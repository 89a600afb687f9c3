"""Users on the pages while bots run: Locust's users against the real processes, candles closing meanwhile.

All on this machine: the users take a share of its processors, which is told.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from kombu import Connection

from bots import load
from bots.benchmarks import fleet
from bots.models import Account, Mode
from dashboard.benchmarks.processes import PATIENCE, Platform, platform, settle, wait_for
from dashboard.load import __path__ as here
from markets.models import Market
from orchestrator import home
from orchestrator.benchmarks import Row, own_database, row
from orchestrator.observability import samples
from orchestrator.observability.samples import Buckets, Key
from orchestrator.observability.tasks import SENT
from orchestrator.servers.ports import LOOPBACK

USER = "load"
PER_SECOND = 4  # users that come
UNCACHED_P95_MS, SIGNAL_P95_MS, QUERY_P95_MS = 60.0, 100.0, 5.0
ADVANCE = "bots.tasks.advance_runs"
JUDGED_FLEET = 1_000  # bots that the signal's budget is for
CANDLE_SECONDS = 4.0  # between two closed candles of every market
# Name of an option -> (its default, least, most, what it is).
BOUNDS = {
    "users": (20, 1, 200, "Users at once."),
    "seconds": (20, 5, 120, "How long each of the phases lasts."),
    "bots": (1_000, 10, 10_000, "Bots in the history that the pages show."),
    "trades": (200_000, 1_000, 10_000_000, "Trades in it."),
    "markets": (500, 2, 5_000, "Markets whose candles close."),
    "fleet": (10_000, 100, 50_000, "Most bots that run beside the pages; a tenth and a hundredth of it come first."),
}


def add_arguments(parser: CommandParser) -> None:
    for name, (usual, least, most, meaning) in BOUNDS.items():
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"{meaning} {least:,} to {most:,}.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Pages as they are, pages that nothing was kept of, then pages beside ever more running bots."""
    for name, (_, least, most, _) in BOUNDS.items():
        if not least <= options[name] <= most:
            raise CommandError(f"{name} must be from {least:,} to {most:,}, not {options[name]:,}.")
    with own_database():
        history = _history(options)
        runs = fleet.make(options["fleet"], options["markets"])
        with platform("web", "live", "worker") as running:
            settle(running.cpu, PATIENCE)
            return list(_phases(running, options, history, runs))


def _history(options: dict[str, Any]) -> dict[str, str]:
    """What the users look at, and what they need to know: the environment of dashboard/load/users.py."""
    load.seed(options["bots"], options["trades"], options["markets"], USER)
    password = secrets.token_urlsafe(12)
    user = get_user_model().objects.get(username=USER)
    user.set_password(password)
    user.save()
    market = Market.objects.filter(exchange__slug=load.SLUG, type="spot", quote="USDT", last__range=(0.1, 500)).first()
    if market is None:
        raise CommandError("markets must be more: none has a price that a small bot can trade at.")
    known = {"LOAD_USER": USER, "LOAD_PASSWORD": password, "LOAD_MARKET": market.pk, "LOAD_PRICE": market.last}
    known["LOAD_ACCOUNT"] = Account.objects.get(owner=user, mode=Mode.PAPER).pk
    return {name: str(value) for name, value in known.items()}


def _phases(running: Platform, options: dict[str, Any], history: dict[str, str], bots: fleet.Fleet) -> Iterator[Row]:
    users, seconds = options["users"], options["seconds"]
    known = history | {"LOAD_LIVE_PORT": str(running.live_port)}
    name = f"{users} users"
    before = samples.current(running.registry())
    yield from _pages(_users(running, users, seconds, known), f"{name}, pages as they are")
    fresh = _users(running, users, seconds, known | {"LOAD_FRESH": "1"})
    yield from _pages(fresh, f"{name}, nothing kept", UNCACHED_P95_MS)
    for count in (options["fleet"] // 100, options["fleet"] // 10, options["fleet"]):
        yield from _beside(running, users, seconds, known, bots, count)
    yield from _resources(running, before)


def _beside(
    running: Platform, users: int, seconds: int, known: dict[str, str], bots: fleet.Fleet, count: int
) -> Iterator[Row]:
    """The same users beside so many running bots, whose candles close again and again."""
    bots.run(count)
    with current_app.connection_for_write(running.redis_url) as broker:
        _close(bots, broker)
        wait_for(lambda: not bots.behind(), f"a fleet of {count:,} bots")
        before = samples.current(running.registry())
        found = _users(running, users, seconds, known, lambda: _close(bots, broker))
        wait_for(lambda: not bots.behind(), f"a fleet of {count:,} bots")
    grown = _grown(before, samples.current(running.registry()))
    name = f"{count:,} bots on {len(bots.markets):,} markets beside {users} users"
    signal = samples.summary(Key("signal", ""), grown[Key("signal", "")])
    yield row(f"{name}, candle stored to orders stored, p50", signal.p50, "ms")
    yield row(f"{name}, candle stored to orders stored, p95", signal.p95, "ms",
              SIGNAL_P95_MS if count == JUDGED_FLEET else None)  # fmt: skip
    yield from _of_it(name, grown)
    yield from _pages(found, f"{name}, pages")


def _of_it(name: str, grown: dict[Key, Buckets]) -> Iterator[Row]:
    """Where that time went: waiting for a worker, then leading the runs."""
    for what, key in (("waiting for a worker", Key("wait", ADVANCE)), ("leading them", Key("task", ADVANCE))):
        if key in grown:
            found = samples.summary(key, grown[key])
            yield row(f"{name}, {what}, p50", found.p50, "ms")
            yield row(f"{name}, {what}, p95", found.p95, "ms")


def _close(bots: fleet.Fleet, broker: Connection) -> None:
    """A candle of every market closes, and what follows is asked for, as the sync of an exchange does."""
    bots.close()
    for task in settings.CANDLE_TASKS:
        current_app.send_task(task, connection=broker, headers={SENT: time.time()})


class Found(NamedTuple):
    """What the users met with: ms -> answers, answers that were wrong, seconds, their share of the processors."""

    times: Counter[int]
    failures: int
    seconds: float
    share: float


def _users(
    running: Platform, users: int, seconds: int, known: dict[str, str], meanwhile: Callable[[], None] | None = None
) -> Found:
    """Have users come, and once all are there look at pages for so long. Raises CommandError where they could not."""
    command = [sys.executable, "-m", "locust", "-f", f"{here[0]}/users.py", "--headless", "--json"]
    command += ["--host", f"http://{LOOPBACK}:{running.port}", "-u", str(users), "-r", str(PER_SECOND)]
    command += ["-t", f"{seconds + 2 * PATIENCE:.0f}s", "--loglevel", "ERROR", "--exit-code-on-error", "0"]
    began, spent = time.monotonic(), _seconds_of_children()
    with TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        environment = {**os.environ, **known, "LOAD_READY": str(ready), "LOAD_SECONDS": str(seconds)}
        output, errors, status = _watched(command, environment, ready, meanwhile)
    if status:
        raise CommandError(f"Locust ended with {status}: {errors.strip() or 'without a word'}")
    took = time.monotonic() - began
    share = (_seconds_of_children() - spent) / took / (os.cpu_count() or 1)
    return _found(json.loads(output), share)


def _watched(
    command: Sequence[str], environment: Mapping[str, str], ready: Path, meanwhile: Callable[[], None] | None
) -> tuple[str, str, int]:
    """Output, errors and status of the users' process; `meanwhile` again and again from when all have logged in."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=home.PROJECT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        wait_for(lambda: ready.exists() or process.poll() is not None, "users")
        while meanwhile and process.poll() is None:
            meanwhile()
            time.sleep(CANDLE_SECONDS)
        return *process.communicate(), process.returncode


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(stats: list[dict[str, Any]], share: float) -> Found:
    """The log-ins, slow on purpose, and the streams, which never end, count for nothing."""
    pages = [one for one in stats if "login" not in one["name"] and one["name"] != "event stream"]
    if not pages:
        raise CommandError("No page was answered: let the phases last longer (--seconds).")
    times: Counter[int] = Counter()
    for one in pages:
        times.update({int(float(ms)): number for ms, number in one["response_times"].items()})
    first, last = min(one["start_time"] for one in pages), max(one["last_request_timestamp"] for one in pages)
    return Found(times, sum(one["num_failures"] for one in pages), last - first, share)


def _pages(found: Found, name: str, budget: float | None = None) -> Iterator[Row]:
    total = sum(found.times.values())
    yield row(f"{name}, answers", total / found.seconds, "pages/s")
    for percent in (50, 95, 99):
        yield row(f"{name}, p{percent}", _percentile(found.times, percent), "ms", budget if percent == 95 else None)
    yield row(f"{name}, wrong or no answers", found.failures, "pages")
    yield row(f"{name}, the users' own share of the processors", 100 * found.share, "%")


def _percentile(times: Counter[int], percent: int) -> float:
    wanted, seen = percent / 100 * sum(times.values()), 0
    for ms in sorted(times):
        seen += times[ms]
        if seen >= wanted:
            return float(ms)
    raise CommandError("No page was answered.")


def _resources(running: Platform, before: dict[Key, Buckets]) -> Iterator[Row]:
    """What the processes counted over all phases."""
    registry = running.registry()
    pool = samples.pool(registry)
    yield row("connections of the pools of web", pool.get("pool_size", 0), "connections")
    yield row("requests that waited for a connection", pool.get("requests_queued", 0), "requests")
    yield row("requests that got no connection", pool.get("requests_errors", 0), "requests")
    yield row("deadlocks", _deadlocks(), "deadlocks")
    yield row("found in the cache", 100 * _hit_rate(registry), "%")
    grown = _grown(before, samples.current(registry))
    # Whole books of runs are written by statements that are no SELECT.
    reads = samples.summary(Key("query", "select"), grown[Key("query", "select")])
    yield row(f"{reads.count:,} reading queries of all processes, p50", reads.p50, "ms")
    yield row(f"{reads.count:,} reading queries of all processes, p95", reads.p95, "ms", QUERY_P95_MS)


def _grown(before: dict[Key, Buckets], after: dict[Key, Buckets]) -> dict[Key, Buckets]:
    return {
        key: [late - early for early, late in zip(before.get(key, [0] * len(buckets)), buckets, strict=True)]
        for key, buckets in after.items()
    }


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _hit_rate(registry: Any) -> float:
    """Of the keys that requests asked for, the share that nobody had to compute."""
    reads: Counter[str] = Counter()
    for family in registry.collect():
        for sample in family.samples:
            if sample.name == "orchestrator_cache_reads_total":
                reads[sample.labels["outcome"]] += int(sample.value)
    asked = sum(number for outcome, number in reads.items() if outcome != "local")
    return (asked - reads["miss"]) / asked if asked else 0.0
