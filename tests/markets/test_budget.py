"""The budget of requests: real Redis, and a clock that passes as it is waited for."""

from __future__ import annotations

import os
import time
from itertools import pairwise

import pytest

from markets.budget import ALONE, MARGIN, TOLERANCE, Budget
from markets.surface import GatewayError
from tests.markets.venue import PassingClock

PACE = 100.0  # ms
DOWN = "redis://127.0.0.1:1/0"


@pytest.fixture
def clock(redis):
    return PassingClock()


@pytest.fixture
def budget(clock):
    return Budget("Venue", "venue", PACE, clock=clock)


def waited(clock, take):
    before = clock.now
    take()
    return clock.now - before


def test_no_minute_holds_more_than_the_exchange_allows(budget, clock):
    costs = [0.4, 4, 0.2, 20, 1, 0.4, 1.2] * 60
    lanes = ["data", "exit", "account", "data", "entry", "exit"]
    told = []
    for i, cost in enumerate(costs):
        budget.take(cost, lanes[i % len(lanes)], patience=1e6)
        told.append((clock.now, cost))
    for start, _ in told:
        assert sum(cost for moment, cost in told if start <= moment < start + 60_000) <= 60_000 / PACE


def test_it_is_used_up_but_for_the_margin(budget, clock):
    assert waited(clock, lambda: [budget.take(2, patience=1e6) for _ in range(101)]) == pytest.approx(
        100 * 2 * PACE * MARGIN, abs=100
    )


def test_one_that_waits_for_nobody_goes_at_once(budget, clock):
    assert waited(clock, lambda: budget.take(50)) == 0
    clock.sleep(50 * PACE * MARGIN / 1000)
    assert waited(clock, lambda: budget.take(50)) == 0


@pytest.mark.parametrize("lane", ["exit", "entry", "account"])
def test_data_never_makes_more_urgent_requests_wait(budget, clock, lane):
    for _ in range(20):
        budget.take(1, "data", patience=1e6)
        assert waited(clock, lambda: budget.take(1, lane)) == 0


def used_up(budget, lane):
    told = ""
    while not told:
        try:
            budget.take(1, lane, patience=0)
        except GatewayError as error:
            told = str(error)
    assert told == "Venue is not asked now: its request budget is used up by more urgent requests."


def test_each_lane_leaves_room_for_the_more_urgent(budget, clock):
    """Filled by one lane, the bucket takes nothing from it or from those below, and still something from above."""
    lanes = ["data", "account", "entry", "exit"]
    for lower, upper in pairwise(lanes):
        used_up(budget, lower)
        assert waited(clock, lambda lane=upper: budget.take(1, lane, patience=0)) == 0
    used_up(budget, "exit")
    # Data comes last: after all that has been let through.
    assert waited(clock, lambda: budget.take(1, "data")) >= TOLERANCE["exit"][1]


def test_all_processes_share_it(redis):
    """Three of them, the machine's clock: together they take as long as one."""
    began = time.monotonic()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(10):
                    Budget("Venue", "shared", 10.0).take()
            finally:
                os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert time.monotonic() - began >= 29 * 10 * MARGIN / 1000


def test_exchanges_and_credentials_have_their_own(budget, clock):
    budget.take(20)
    for key, credential in (("venue", "account 1"), ("venue", "account 2"), ("other", "")):
        other = Budget("Other", key, PACE, credential, clock)
        assert waited(clock, lambda budget=other: budget.take(20)) == 0
    assert waited(clock, lambda: Budget("Again", "venue", PACE, clock=clock).take()) == pytest.approx(2200, abs=1)


@pytest.mark.parametrize("lane", TOLERANCE)
def test_a_hold_is_obeyed_in_all_lanes_and_by_all_credentials(budget, clock, lane):
    budget.hold(120)
    budget.hold(5)  # a shorter one takes nothing off
    other = Budget("Venue", "venue", PACE, "account 1", clock)
    with pytest.raises(GatewayError, match="Venue asked to be left alone; it is asked again in 120 s") as caught:
        other.take(1, lane)
    assert not caught.value.permanent
    assert waited(clock, lambda: other.take(1, lane, patience=200)) == 120_000
    assert waited(clock, lambda: Budget("Else", "else", PACE, clock=clock).take(1, lane)) == 0


def test_without_redis_only_what_ends_a_risk_is_asked_and_slowly(budget, clock, settings):
    url, settings.REDIS_URL = settings.REDIS_URL, DOWN
    for lane in ("data", "account", "entry"):
        with pytest.raises(GatewayError, match="Venue is not asked: Redis") as caught:
            budget.take(1, lane)
        assert not caught.value.permanent
    assert waited(clock, lambda: [budget.take(1, "exit") for _ in range(11)]) == pytest.approx(
        10 * PACE * MARGIN * ALONE, abs=20
    )
    settings.REDIS_URL = url
    assert waited(clock, lambda: budget.take(1, "data")) == 0


def test_without_redis_a_ban_is_remembered(budget, clock, settings):
    settings.REDIS_URL = DOWN
    budget.hold(60)
    with pytest.raises(GatewayError, match="left alone; it is asked again in 60 s"):
        budget.take(1, "exit")
    assert waited(clock, lambda: budget.take(1, "exit", patience=100)) == 60_000
