"""How the cache is doing, over all processes: for the admin and the command."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from redis import Redis

from orchestrator.cache import counts, shared
from orchestrator.cache.counts import Figures
from orchestrator.cache.fetching import Cache
from orchestrator.cache.link import Unreachable
from orchestrator.cache.policies import POLICIES, Policy
from orchestrator.cache.store import PastOutage


class Line(NamedTuple):
    """dropped: how often, ever."""

    policy: Policy
    dropped: int
    figures: Figures


class Report(NamedTuple):
    """lines: none while Redis does not answer; then `outage` says so. past: outages that are over, last first."""

    lines: list[Line]
    outage: str
    past: list[str]


def report(cache: Cache, hours: int = counts.HOURS) -> Report:
    """Counts of the last hours, at most 24; this process's own are sent first."""
    cache.store.flush()
    try:
        lines = cache.store.link.run(lambda redis: _lines(redis, hours))
        return Report(lines, "", [_sentence(one) for one in cache.store.outages()])
    except Unreachable:
        outage = cache.store.link.outage
        reason = f" ({outage.reason})" if outage else ""
        return Report([], f"Redis does not answer{reason}: every process caches in its own memory until it does.", [])


def _lines(redis: Redis, hours: int) -> list[Line]:
    dropped = shared.generations(redis, list(POLICIES))
    figures = counts.figures(redis, list(POLICIES), hours)
    return [Line(policy, dropped[name], figures[name]) for name, policy in POLICIES.items()]


def _sentence(outage: PastOutage) -> str:
    since = datetime.fromtimestamp(outage["since"], UTC)
    return f"{since:%Y-%m-%d %H:%M:%S} UTC, for {outage['seconds']:.1f} s: {outage['reason']}"


def hot_keys(cache: Cache, policy: Policy, count: int) -> dict[str, float]:
    """Key -> about how often it was read lately, most first. Raises Unreachable."""
    cache.store.flush()
    return cache.store.link.run(lambda redis: counts.hottest(redis, policy.name, count))


# Heading and whether it is a number, of `cells`.
COLUMNS = (
    ("Policy", False), ("Fresh for", True), ("Reads", True), ("Hit rate", True), ("Computed", True), ("Waited", True),
    ("Stale", True), ("Without Redis", True), ("Read p50 / p95 / p99", True), ("Compute p50 / p95 / p99", True),
    ("Dropped", True),
)  # fmt: skip


def cells(line: Line) -> list[str]:
    """Texts of a line, in the order of COLUMNS."""
    policy, dropped, figures = line
    rate = "–" if figures.hit_rate is None else f"{100 * figures.hit_rate:.1f} %"
    whole = [f"{n:,}" for n in (figures.misses, figures.waited, figures.stale, figures.local)]
    times = [_times(figures.read_ms), _times(figures.fill_ms)]
    return [policy.name, f"{policy.seconds} s", f"{figures.reads:,}", rate, *whole, *times, str(dropped)]


def _times(percentiles: dict[int, float]) -> str:
    return " / ".join(map(_milliseconds, percentiles.values())) + " ms" if percentiles else "–"


def _milliseconds(value: float) -> str:
    """In three digits, without an exponent: 0.558, 85, 1,140."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
