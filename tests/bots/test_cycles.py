from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from bots import cycles, live, runs, services
from bots.benchmarks import fleet
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


def test_the_latency_of_a_signal_ends_with_its_own_transaction(db, monkeypatch):
    bots = fleet.make(4, 4, candles=1)
    monkeypatch.setattr(runs, "FIRST_SHARD", 2)
    closed = timezone.now()
    bots.close()
    Feed.objects.update(checked_at=closed)
    commits = iter([closed + timedelta(seconds=1), closed + timedelta(seconds=9)])

    def advance(told):
        def tell(candles):
            with monkeypatch.context() as patch:
                patch.setattr(timezone, "now", lambda: next(commits))
                told(candles)

        return runs.advance_due(tell)

    before = samples.current().get(("signal", ""), [0] * (len(SECONDS) + 1))
    assert cycles.lead("paper", runs.due, advance) == 4
    grown = [late - early for early, late in zip(before, samples.current()["signal", ""], strict=True)]
    assert grown[-1] == 4
    found = samples.summary(samples.Key("signal", ""), grown)
    assert (found.p50 < 1400, found.p95 > 7000) == (True, True)


def test_where_nobody_trades_live_a_candle_costs_one_query(bot, close, django_assert_num_queries):
    services.start(bot, START)
    close(bars((100, 101, 99, 100)))
    with django_assert_num_queries(1):
        assert cycles.lead("live", live.due, live.advance_due) == 0
