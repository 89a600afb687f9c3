from __future__ import annotations

import pytest
from django.utils import timezone

from bots.models import Channel, Event
from bots.notifications import channels, horizon, selection
from bots.notifications.delivery import deliver
from bots.notifications.topics import TOPICS
from tests.bots.notifications.service import Service
from tests.dashboard.cast import make_user


@pytest.fixture
def service(settings):
    settings.ALLOW_LOCAL_NOTIFICATIONS = True
    made = Service()
    yield made
    made.close()


@pytest.fixture
def owner(db):
    return make_user("owner")


@pytest.fixture
def make_channel(owner, service):
    """A channel of all topics to the service on loopback."""

    def make(name="Phone", topics=tuple(TOPICS), address="", **wishes):
        return channels.create(owner, channels.Wishes(name, topics, **wishes), address or service.address())

    return make


@pytest.fixture
def happen(owner):
    """Events of the owner's, one a call or many."""

    def happen(message="It failed.", code="failed", level="error", count=1, **values):
        Event.objects.bulk_create(
            Event(owner=owner, code=code, level=level, message=message, **values) for _ in range(count)
        )

    return happen


@pytest.fixture
def cycle(db):
    """What the job and the courier do, in this process; returns the ids of the channels that had something to send."""

    def cycle(now=None):
        place, now = horizon.settle(), now or timezone.now()
        selection.pass_by(place, now)
        waiting = selection.waiting(place, now)
        for channel in waiting:
            deliver(channel, place)
        return waiting

    return cycle


def row(channel):
    return Channel.objects.get(pk=channel.pk)
