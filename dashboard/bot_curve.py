"""A bot's equity over its runs, those of the mode and currency that it has now. Nothing here writes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import NamedTuple

from django.db.models.functions import Extract

from bots.models import Bot, EquitySnapshot, Run
from dashboard.figures import its_book


class BotCurve(NamedTuple):
    """time: seconds UTC, rising strictly; equity and base in quote: what the last point's gain is measured from."""

    time: list[int]
    equity: list[float]
    base: float

    def part(self, begin: float | None, end: float | None) -> slice:
        """The points between two moments (s UTC), both included."""
        first = 0 if begin is None else bisect_left(self.time, begin)
        return slice(first, None if end is None else bisect_right(self.time, end))


class _Joined(NamedTuple):
    """shifts: of each run, what is added to its equity; ends: (when, value) of each run, the living one's is now."""

    shifts: dict[int, float]
    ends: list[tuple[datetime, float]]
    start: float


def bot_curve(bot: Bot, since: datetime | None, now: datetime) -> BotCurve:
    """The last run's allocation plus the profit and loss of the runs until then, as it is now included.

    The profit of a run is its equity less its allocation. Those of earlier runs are kept when a next one begins with
    its own allocation, so that no money given or taken back looks like a gain or a loss. base: the value as the period
    began, the allocation when no run had begun. Where snapshots share a second, that of the newest run counts.
    """
    joined = _joined(bot, now)
    rows = EquitySnapshot.objects.filter(bot=bot, run__in=joined.shifts, time__lte=now)
    within = rows if since is None else rows.filter(time__gte=since)
    found = within.order_by("run__number", "time").annotate(at=Extract("time", "epoch"))
    points = {int(end.timestamp()): value for end, value in joined.ends if since is None or end >= since}
    for run, at, equity in found.values_list("run_id", "at", "equity"):
        points[int(at)] = joined.shifts[run] + equity
    if joined.ends and joined.ends[-1][0] == now:
        points[int(now.timestamp())] = joined.ends[-1][1]
    base = joined.start if since is None else _before(bot, since, joined)
    time = sorted(points)
    return BotCurve(time, [points[at] for at in time], base)


def _joined(bot: Bot, now: datetime) -> _Joined:
    own = Run.objects.filter(its_book("", "bot__"), bot=bot).order_by("number")
    runs = list(own.values_list("pk", "allocation", "equity", "stopped_at"))
    start = float(runs[-1][1] if runs else bot.allocation)
    shifts: dict[int, float] = {}
    ends, gained = [], 0.0
    for pk, allocation, equity, stopped_at in runs:
        shifts[pk] = start + gained - float(allocation)
        gained += float(equity) - float(allocation)
        ends.append((stopped_at or now, start + gained))
    return _Joined(shifts, ends, start)


def _before(bot: Bot, since: datetime, joined: _Joined) -> float:
    """The last value known before a period."""
    earlier = EquitySnapshot.objects.filter(bot=bot, run__in=joined.shifts, time__lt=since).order_by(
        "-time", "-run__number"
    )
    known = [
        (time, joined.shifts[run] + equity) for run, time, equity in earlier.values_list("run_id", "time", "equity")[:1]
    ]
    known += [(end, value) for end, value in joined.ends if end < since]
    return max(known, key=lambda one: one[0])[1] if known else joined.start
