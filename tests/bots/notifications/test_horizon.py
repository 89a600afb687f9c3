"""An event that commits after one with a higher id is told all the same."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bots.models import Event
from bots.notifications import horizon, selection
from tests.bots.notifications.conftest import row


class Writer:
    """Another connection that writes an event and commits when it is told to."""

    def __init__(self, owner, message):
        self.written, self.may_commit = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, args=(owner, message))
        self._thread.start()
        assert self.written.wait(30)

    def _write(self, owner, message):
        try:
            with transaction.atomic():
                Event.objects.create(owner=owner, level="error", code="failed", message=message)
                self.written.set()
                self.may_commit.wait(30)
        finally:
            connection.close()

    def commit(self):
        self.may_commit.set()
        self._thread.join()


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_not_passed_over(make_channel, happen, cycle, service):
    channel = make_channel()
    late = Writer(channel.owner, "Written first, seen last.")
    happen("Written last, seen first.")
    assert cycle() == []  # neither waits for the writer, nor goes past it
    assert row(channel).cursor < Event.objects.latest("id").pk
    late.commit()
    cycle()
    assert service.got[0]["title"] == "2 errors"


@pytest.mark.django_db(transaction=True)
def test_writers_one_after_another_do_not_hold_it_up(make_channel, happen, cycle, service):
    """There is a writer at every moment, and yet what is older than the present ones is told."""
    channel = make_channel()
    first = Writer(channel.owner, "First.")
    assert cycle() == []
    second = Writer(channel.owner, "Second.")
    first.commit()
    cycle()
    second.commit()
    cycle()
    assert "First." in service.texts()[0]
    settled = horizon.settle()
    told = selection.told(row(channel), settled, timezone.now(), 5)
    assert [line.message for line in told.lines] == ["Second."]


@pytest.mark.django_db(transaction=True)
def test_an_id_that_was_never_used_holds_up_nothing(make_channel, happen, cycle, service):
    channel = make_channel()
    with transaction.atomic():
        happen("Taken back.")
        transaction.set_rollback(True)
    happen("It happened.")
    cycle()
    (text,) = service.texts()
    assert "It happened." in text
    assert row(channel).cursor == horizon.last_given()
