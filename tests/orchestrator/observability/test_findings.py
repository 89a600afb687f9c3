from __future__ import annotations

import logging

from orchestrator.models import Finding
from orchestrator.observability import findings
from orchestrator.observability.findings import Place, report
from orchestrator.observability.tally import Tally

SLOW = Finding.Kind.SLOW_REQUEST


def tally(*slow):
    return Tally(queries=3, slow=list(slow))


def test_what_was_slow_is_stored_and_logged_with_its_place_user_and_bot(db, owner, caplog):
    with caplog.at_level(logging.WARNING, "orchestrator.slow"):
        report(Place("bot", "/bots/7/", owner.pk, 7), tally(("SELECT 0", 0.2)), 0.8, 0.5, SLOW)
    whole, query = Finding.objects.order_by("id")
    assert (whole.kind, whole.place, whole.path, whole.user, whole.bot_id) == (SLOW, "bot", "/bots/7/", owner, 7)
    assert (whole.milliseconds, whole.count) == (800.0, 3)
    assert (query.kind, query.milliseconds, query.statement) == ("slow_query", 200.0, "SELECT 0")
    first, second = caplog.messages
    assert f"kind=slow_request place=bot ms=800.0 count=3 seen=1 user={owner.pk} bot=7 path=/bots/7/" in first
    assert "kind=slow_query place=bot ms=200.0 count=1" in second


def test_what_was_fast_leaves_nothing(db):
    report(Place("bots"), tally(), 0.4, 0.5, SLOW)
    assert not Finding.objects.exists()


def test_the_same_finding_is_counted_and_stored_once_in_a_while(db, monkeypatch):
    for _ in range(3):
        report(Place("bots"), tally(), 0.6, 0.5, SLOW)
    report(Place("bot"), tally(), 0.6, 0.5, SLOW)
    assert list(Finding.objects.order_by("id").values_list("place", "seen")) == [("bots", 1), ("bot", 1)]
    monkeypatch.setattr(findings, "QUIET_SECONDS", 0.0)
    report(Place("bots"), tally(), 0.6, 0.5, SLOW)
    assert Finding.objects.latest("id").seen == 3


def test_a_deleted_user_leaves_the_finding(db, owner):
    report(Place("bots", user=owner.pk), tally(), 0.6, 0.5, SLOW)
    owner.delete()
    assert Finding.objects.get().user is None
