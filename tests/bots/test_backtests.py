"""Stored backtests: the engine's answer kept, asked for once, taken up again when a worker dies."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from bots import backtest_claims, backtests, runs, tasks
from bots.backtest_claims import GIVEN_UP, MOST_TRIES, STALE, claim
from bots.guards import Refused
from bots.kinds.parameters import ParamsError
from bots.models import Backtest
from markets import candles as store
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.orchestrator.processes import until

SWINGS = bars(*((100, 106, 94, 97), (97, 107, 93, 103), (103, 111, 96, 99), (99, 105, 89, 100)) * 60)
LINES = {"lines": [5.0, 9.0, 11.0]}


@pytest.fixture
def stored(close):
    close(SWINGS)


@pytest.fixture
def ask(owner, market, stored):
    """ask(...): a backtest of the grid, and whether it is new."""

    def asked(params=GRID, grid=None, owner=owner, allocation=1000, days=None, limited=None, kind="grid"):
        money = Decimal(allocation)
        return backtests.ask(owner, kind, params, limited or {}, market, 60, money, days, grid)

    return asked


def done(backtest) -> Backtest:
    assert tasks.run_backtests() == 1
    return Backtest.objects.get(pk=backtest.pk)


def test_the_answer_is_the_engine_s_own(ask, market):
    found = done(ask()[0])
    expected = runs.backtest("grid", GRID, market, 60, Decimal(1000), SWINGS)
    assert (found.state, found.progress, found.reason, found.bars) == ("done", 1.0, "", len(SWINGS))
    assert np.array_equal(backtests.trades_of(found), expected.steps.trades)
    columns = backtests.unpacked(found)
    assert columns["time"].tolist() == SWINGS.time.tolist()
    assert columns["equity"].tolist() == expected.steps.equity.tolist()
    assert columns["fall"].min() == pytest.approx(found.metrics["max_drawdown"])
    assert found.metrics["trades"] == len(expected.trades)
    assert found.bounds["worst"] <= columns["equity"][-1] <= found.bounds["best"]


def test_a_grid_has_the_answer_of_each_of_its_sets(ask):
    found = done(ask(grid=LINES)[0])
    assert [row[0]["lines"] for row in found.results] == LINES["lines"]
    for chosen, trades, equity, drawdown in found.results:
        alone = done(ask(params=GRID | {"lines": int(chosen["lines"])})[0])
        assert trades == alone.metrics["trades"]
        assert equity == pytest.approx(1000 * (1 + alone.metrics["total_return"]))
        assert drawdown == alone.metrics["max_drawdown"]


def test_one_that_raises_what_nobody_foresaw_fails_and_is_not_claimed_for_ever(ask):
    asked, _ = ask(grid=LINES)
    Backtest.objects.update(terms={"of an earlier version": 1})
    with pytest.raises(TypeError):
        backtests.run_waiting()
    asked.refresh_from_db()
    assert asked.state == "failed"
    assert asked.reason.startswith("TypeError: ")
    Backtest.objects.update(touched_at=timezone.now() - 2 * STALE)
    assert claim() is None


def test_an_owner_waits_for_so_many_backtests_at_most(ask, owner, monkeypatch):
    monkeypatch.setattr(backtests, "MOST_OPEN", 2)
    first, _ = ask()
    ask(allocation=999)
    with pytest.raises(Refused, match="2 of your backtests are not answered yet, and at most 2 may be"):
        ask(allocation=998)
    assert ask() == (first, False)
    assert ask(owner=get_user_model().objects.create_user("another"), allocation=998)[1]
    backtests.cancel(first)
    assert ask(allocation=998)[1]


def test_the_same_question_about_the_same_candles_is_answered_by_what_is_stored(ask, market, close):
    first, new = ask()
    assert new
    assert ask() == (first, False)  # while it waits
    done(first)
    assert ask() == (first, False)
    assert ask(params=GRID | {"lines": 9})[1]
    assert ask(limited={"max_open_orders": 1})[1]
    assert ask(allocation=2000)[1]
    other = get_user_model().objects.create_user("other")
    assert ask(owner=other)[1]  # another's answers are not looked at
    close(bars((100, 101, 99, 100), start=START + len(SWINGS) * MINUTE))
    assert ask()[1]


def test_limits_hold_in_a_backtest(ask):
    free, bound = done(ask()[0]), done(ask(limited={"max_open_orders": 1})[0])
    assert bound.metrics["trades"] < free.metrics["trades"]


def test_only_the_period_that_is_asked_for_counts(ask, market):
    found, _ = ask(days=30)
    assert found.bars == len(SWINGS)
    hour, _ = backtests.candles_of(market.pk, 60, START + 60 * MINUTE, START + 119 * MINUTE), None
    assert [len(part) for part in hour] == [60, 60]


def test_one_whose_worker_died_is_taken_up_again_and_no_other(ask):
    first = ask()[0]
    assert claim() == first
    assert claim() is None
    Backtest.objects.update(touched_at=timezone.now() - timedelta(hours=1))
    assert tasks.run_backtests() == 1
    first.refresh_from_db()
    assert first.state == "done"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_wrong_takes_nothing_over_and_loses_nothing(ask, monkeypatch, hours):
    now = timezone.now
    ask()
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=hours))
    mine = claim()
    backtest_claims.show_progress(mine, 0.5)
    assert abs(Backtest.objects.get().touched_at - now()) < STALE
    assert claim() is None


def test_one_that_ends_its_workers_is_given_up_after_some_tries(ask):
    asked, _ = ask()
    for _ in range(MOST_TRIES):
        assert claim() == asked
        Backtest.objects.update(touched_at=timezone.now() - 2 * STALE)
    assert claim() is None
    asked.refresh_from_db()
    assert (asked.state, asked.reason, asked.tries) == ("failed", GIVEN_UP, MOST_TRIES)
    assert "the worker ended or the database was away" in asked.reason
    assert asked.finished_at is not None
    assert backtests.again(asked)
    assert done(asked).state == "done"


@pytest.mark.parametrize("grid", [None, LINES])
def test_who_was_taken_over_from_writes_nothing_any_more(ask, grid):
    first = ask(grid=grid)[0]
    slow = claim()
    Backtest.objects.update(touched_at=timezone.now() - 2 * STALE)
    other = claim()
    assert other == slow
    backtests.run(slow)
    for write in (lambda: backtest_claims.answer(slow, {"state": "done"}), lambda: backtests._fail(slow, "late")):
        with suppress(backtest_claims.Lost):
            write()
    first.refresh_from_db()
    assert (first.state, first.claimed_by, first.progress) == ("running", other.claimed_by, 0.0)
    backtests.run(other)
    first.refresh_from_db()
    assert (first.state, first.reason) == ("done", "")


def test_who_was_cancelled_and_asked_again_is_not_answered_by_the_worker_of_before(ask):
    first = ask()[0]
    before = claim()
    assert backtests.cancel(first)
    assert backtests.again(first)
    now = claim()
    backtests.run(before)
    first.refresh_from_db()
    assert (first.state, first.claimed_by) == ("running", now.claimed_by)


@pytest.mark.django_db(transaction=True)
def test_a_slow_one_is_nobody_else_s_while_its_worker_lives(ask, monkeypatch):
    """Signs of life come while the engine is at one long stretch."""
    monkeypatch.setattr(backtest_claims, "BEAT", 0.01)
    ask()
    slow = claim()
    Backtest.objects.update(touched_at=timezone.now() - 2 * STALE)
    with backtest_claims.kept_alive(slow):
        until(lambda: Backtest.objects.get().touched_at > timezone.now() - STALE, 30, "it shows a sign of life")
        assert claim() is None
    assert Backtest.objects.get().claimed_by == slow.claimed_by


@pytest.mark.parametrize("grid", [None, LINES])
def test_one_that_is_cancelled_is_left_alone(ask, grid):
    first = ask(grid=grid)[0]
    claimed = claim()
    assert backtests.cancel(first)
    backtests.run(claimed)
    first.refresh_from_db()
    assert (first.state, first.metrics, first.results) == ("cancelled", {}, [])
    assert tasks.run_backtests() == 0
    assert not backtests.cancel(first)
    assert backtests.again(first)
    assert done(first).state == "done"
    assert not backtests.again(first)


def test_candles_that_changed_meanwhile_are_told(ask, market):
    first = ask()[0]
    store.upsert(market.pk, 60, bars((100, 120, 80, 97)))
    found = done(first)
    assert (found.state, found.reason) == ("failed", "The candles have changed since it was asked for: start it anew.")


@pytest.mark.parametrize(
    ("question", "error", "sentence"),
    [
        ({"params": GRID | {"upper": 80.0}}, ParamsError, "upper must be above lower"),
        ({"grid": {"lines": [5.0, 1.0]}}, ParamsError, "lines must be at least 2"),
        ({"grid": {"none": [1.0]}}, ParamsError, "none of the grid must be a parameter"),
        (
            {"grid": {"lines": [5.0] * 101, "lower": [90.0] * 101}},
            ParamsError,
            "at most 10,000 combinations, not 10,201",
        ),
        ({"limited": {"max_position": 0.5}}, ParamsError, "max_position must be at least"),
        ({"kind": "none"}, Refused, "kind must be one of"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_not_stored(ask, question, error, sentence):
    with pytest.raises(error, match=sentence):
        ask(**question)
    assert not Backtest.objects.exists()


def test_without_candles_it_is_refused(owner, market, feed):
    with pytest.raises(Refused, match="0 candles of 1m are stored for SOL/USDT"):
        backtests.ask(owner, "grid", GRID, {}, market, 60, Decimal(1000), None)


def test_a_signal_s_lead_comes_from_before_the_period(ask, market):
    rules = {"long_entry": "sma(3) > sma(20)", "long_exit": "sma(3) < sma(20)"}
    whole = done(ask(kind="signal", params=rules)[0])
    assert whole.metrics["trades"] > 0
    older, candles = backtests.candles_of(market.pk, 60, START + 60 * MINUTE, None)
    assert len(older) == 60
    assert len(candles) == len(SWINGS) - 60
