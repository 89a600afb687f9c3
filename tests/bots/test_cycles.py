from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from bots import cycles, live, runs, services
from bots.models import Run
from markets.models import Feed
from orchestrator.observability import samples
from orchestrator.observability.metrics import SECONDS
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


def test_the_latency_ends_with_what_was_stored_and_not_with_the_look_for_more(bot, close, monkeypatch):
    services.start(bot, START)
    stored = timezone.now()
    close(bars((100, 101, 99, 100), (100, 101, 99, 100)))
    Feed.objects.update(checked_at=stored)

    def advance(told):
        def tell():
            with monkeypatch.context() as patch:
                patch.setattr(timezone, "now", lambda: stored + timedelta(seconds=2))
                told()

        return runs.advance_due(tell)

    before = samples.current().get(("signal", ""), [0] * (len(SECONDS) + 1))
    assert cycles.lead("paper", runs.due, advance) == 1
    grown = [late - early for early, late in zip(before, samples.current()["signal", ""], strict=True)]
    assert grown[-1] == 1
    assert 1500 < samples.summary(samples.Key("signal", ""), grown).p50 < 2700


def test_where_nobody_trades_live_a_candle_costs_one_query(bot, close, django_assert_num_queries):
    services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    with django_assert_num_queries(1):
        assert cycles.lead("live", live.due, live.advance_due) == 0
