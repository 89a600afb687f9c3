"""What was slow or wasteful, as rows and log lines: at most one of a kind, place and statement in a while."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import NamedTuple

from django.db import DatabaseError

from orchestrator.models import Finding
from orchestrator.observability.metrics import FINDINGS
from orchestrator.observability.tally import Tally

log = logging.getLogger("orchestrator.slow")

QUIET_SECONDS = 60.0  # after a row, the same finding is only counted for so long
_REMEMBERED = 500
_last: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()


class Place(NamedTuple):
    """Where something was found: the name of a view or task, its address, whose it was, which bot's."""

    name: str
    path: str = ""
    user: int | None = None
    bot: int | None = None


def report(place: Place, tally: Tally, seconds: float, bound: float, kind: str) -> None:
    """Record what a piece of work showed: itself, when it took longer than bound, and its queries."""
    found = [Finding.of(kind, seconds, tally.queries)] if seconds > bound else []
    found += [Finding.of(Finding.Kind.SLOW_QUERY, taken, 1, text) for text, taken in tally.slow]
    found += [Finding.of(Finding.Kind.REPEATED_QUERY, seconds, times, text) for text, times in tally.repeated()]
    if found:
        _store(place, found)


def _store(place: Place, found: list[Finding]) -> None:
    due = [one for one in found if _is_due(one, place)]
    for one in due:
        one.place, one.path, one.user_id, one.bot_id = place.name, place.path[:300], place.user, place.bot
        log.warning(
            'kind=%s place=%s ms=%.1f count=%s seen=%s user=%s bot=%s path=%s statement="%s"',
            one.kind, one.place, one.milliseconds, one.count, one.seen, one.user_id, one.bot_id, one.path, one.statement
        )  # fmt: skip
    try:
        Finding.objects.bulk_create(due)
    except DatabaseError:
        # The work itself was done; that it was slow is in the log at least.
        log.exception("findings of %s could not be stored", place.name)


def _is_due(one: Finding, place: Place) -> bool:
    """Count a finding; False when the same was stored a moment ago. The next row says how many there were between."""
    FINDINGS.labels(one.kind).inc()
    key, now = (one.kind, place.name, one.statement), time.monotonic()
    stored, passed_over = _last.get(key, (float("-inf"), 0))
    if now - stored < QUIET_SECONDS:
        _last[key] = (stored, passed_over + 1)
        return False
    one.seen = passed_over + 1
    _last[key] = (now, 0)
    _last.move_to_end(key)
    while len(_last) > _REMEMBERED:
        _last.popitem(last=False)
    return True
