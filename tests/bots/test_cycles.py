from __future__ import annotations

from django.utils import timezone

from bots import cycles, runs, services
from bots.models import Run
from markets.models import Feed
from orchestrator.observability import samples
from tests.bots.conftest import START, bars


def counts(metric, name=""):
    found = samples.current().get((metric, name))
    return found[-1] if found else 0


def test_a_cycle_is_counted_with_its_runs_and_the_latency_of_its_signals(bot, close):
    services.start(bot, START)
    Feed.objects.update(checked_at=timezone.now())
    close(bars((100, 101, 99, 100), (100, 101, 99, 100)))
    before = counts("cycle", "paper"), counts("signal")
    assert cycles.lead("paper", runs.due, runs.advance_due) == Run.objects.count()
    assert (counts("cycle", "paper"), counts("signal")) == (before[0] + 1, before[1] + 1)


def test_a_cycle_without_work_counts_nothing(bot, feed):
    before = counts("cycle", "paper")
    assert cycles.lead("paper", runs.due, runs.advance_due) == 0
    assert counts("cycle", "paper") == before
