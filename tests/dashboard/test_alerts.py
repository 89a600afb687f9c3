"""A budget that is broken for long is told to staff, once, and so is its end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Event
from dashboard import tasks
from dashboard.system import alerts
from markets.models import Feed
from orchestrator.models import BrokenBudget, Sample
from orchestrator.observability.metrics import SECONDS
from tests.dashboard.cast import make_user

MINUTE = timedelta(minutes=1)


@pytest.fixture
def staff(db):
    make_user("gone", is_staff=True, is_active=False)
    return [make_user("ann", is_staff=True), make_user("bea", is_staff=True)]


def told(now):
    """(code, owner, message) of what one look at the budgets tells of the feeds; no worker is there, either."""
    return [
        (event.code, event.owner.username, event.message)
        for event in alerts.watch(now)
        if event.data["subject"] == "Feeds"
    ]


def in_time(now):
    Feed.objects.update(synced_to=int((now - 2 * MINUTE).timestamp() * 1000))


def test_staff_are_told_once_of_what_is_broken_for_long_and_once_when_it_holds_again(staff, market, owner):
    now = timezone.now()
    Feed.objects.update(synced_to=0)
    assert told(now) == told(now + 9 * MINUTE) == []
    sentence = (
        f"Feeds: 1 late, 0 failing of 1, wanted none, since {now:%Y-%m-%d %H:%M} UTC. "
        "Look at the feeds in the admin: each says what went wrong."
    )
    assert told(now + 10 * MINUTE) == [(alerts.BROKEN, name, sentence) for name in ("ann", "bea")]
    assert told(now + 11 * MINUTE) == []
    in_time(now + 12 * MINUTE)
    again = f"Feeds: within its budget again. It was not since {now:%Y-%m-%d %H:%M} UTC."
    assert told(now + 12 * MINUTE) == [(alerts.HOLDS, name, again) for name in ("ann", "bea")]
    assert told(now + 12.5 * MINUTE) == []
    assert not BrokenBudget.objects.filter(subject="Feeds").exists()
    levels = Event.objects.filter(data__subject="Feeds").order_by("id").values_list("level", flat=True)
    assert list(levels) == ["warning", "warning", "info", "info"]
    assert not Event.objects.filter(owner=owner, code__startswith="budget").exists()


def test_a_short_break_is_told_to_nobody(staff, market):
    now = timezone.now()
    Feed.objects.update(synced_to=0)
    assert told(now) == []
    in_time(now + 5 * MINUTE)
    assert told(now + 5 * MINUTE) == []
    Feed.objects.update(synced_to=0)
    assert told(now + 11 * MINUTE) == []


def test_what_is_too_rare_to_be_judged_is_not_told_to_hold_again(staff):
    """At night nobody asks for the page; in the morning it is as slow as it was, and that is known already."""
    began = timezone.now()

    def asked(minutes, quick, all_):
        buckets = [*[quick] * len(SECONDS), all_]
        Sample.objects.create(time=began + minutes * MINUTE, host="a", metric="request", name="bots", buckets=buckets)

    def told(minutes):
        events = alerts.watch(began + minutes * MINUTE)
        return {event.code for event in events if event.data["subject"] == "Page bots"}

    asked(0, 0, 30)
    assert [told(0), told(10), told(40)] == [set(), {alerts.BROKEN}, set()]
    asked(50, 0, 60)
    assert told(50) == told(61) == set()
    asked(90, 30, 90)
    assert told(90) == {alerts.HOLDS}
    asked(120, 30, 120)
    assert [told(120), told(140), told(150)] == [set(), set(), set()]  # it was judged once
    assert not BrokenBudget.objects.filter(subject="Page bots").exists()


def test_the_job_looks_now(staff):
    tasks.watch_budgets()
    assert set(BrokenBudget.objects.values_list("subject", "told_at")) == {("Workers", None)}
