"""What a person does with channels: each change with its Event, none with an address."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import time, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from bots.models import Bot, Channel, Event
from bots.notifications import addresses, horizon
from bots.notifications.delivery import PURPOSE
from orchestrator import crypto

MOST = 20  # of one owner
TEST_EVERY = timedelta(seconds=10)  # of one owner
NAME_ONCE = "channel_name_once"  # the constraint


class Wishes(NamedTuple):
    """What a channel is to be like. bots: those alone; None is all, and what concerns none."""

    name: str
    topics: Sequence[str]
    minimum: str = Event.Level.INFO
    bots: Sequence[Bot] | None = None
    quiet: tuple[time, time] | None = None
    zone: str = "UTC"
    errors_wake: bool = True


@transaction.atomic
def create(owner: Any, wishes: Wishes, address: str) -> Channel:
    """A channel that tells what happens from now on. Raises BrokenAddress, IntegrityError for a name that is taken."""
    channel = Channel(owner=owner)
    _take(channel, wishes, address)
    channel.save()
    _choose(channel, wishes)
    _say(channel, "channel_created", f"Channel {channel.name} created: {channel.shown}.")
    _from_now_on(channel)
    return channel


@transaction.atomic
def change(channel: Channel, wishes: Wishes, address: str = "") -> None:
    """Change a channel; "" keeps its address.

    Raises BrokenAddress, IntegrityError for a name that is taken, DoesNotExist when it was deleted meanwhile.
    """
    Channel.objects.select_for_update().only("pk").get(pk=channel.pk)
    _take(channel, wishes, address)
    fresh = {"failures": 0, "failing_since": None, "not_before": timezone.now()} if address else {}
    for name, value in fresh.items():
        setattr(channel, name, value)
    told = ["name", "topics", "minimum", "all_bots", "quiet_from", "quiet_to", "zone", "errors_wake", "held_until"]
    channel.save(update_fields=[*told, "sealed", "shown", *fresh])
    _choose(channel, wishes)
    moved = f", it goes to {channel.shown} now" if address else ""
    _say(channel, "channel_changed", f"Channel {channel.name} changed{moved}.")


@transaction.atomic
def pause(channel: Channel) -> None:
    """Tell nothing until it is resumed. What happens meanwhile is not told later."""
    if Channel.objects.filter(pk=channel.pk, enabled=True).update(enabled=False):
        _say(channel, "channel_changed", f"Channel {channel.name} paused.")


@transaction.atomic
def resume(channel: Channel) -> None:
    """Tell what happens from now on."""
    fresh = {"failures": 0, "failing_since": None, "held_until": None, "woken": 0, "not_before": timezone.now()}
    paused = Channel.objects.filter(pk=channel.pk, enabled=False)
    if paused.update(enabled=True, **fresh):
        _say(channel, "channel_changed", f"Channel {channel.name} resumed.")
        _from_now_on(channel)


@transaction.atomic
def test(channel: Channel) -> str:
    """Have a test message sent; else the sentence why not: its owner had one sent a moment ago, to any channel."""
    own = Channel.objects.select_for_update().filter(owner=channel.owner_id).order_by("pk")
    tested = {row.pk: row.tested_at for row in own}
    if channel.pk not in tested:
        return f"{channel.name} was deleted."
    now = timezone.now()
    # One that is to come was asked for before the clock was set back: nobody waits until it is there again.
    past = [time for time in tested.values() if time is not None and time <= now]
    waits = max(((time - now + TEST_EVERY).total_seconds() for time in past), default=0.0)
    if waits > 0:
        seconds = int(TEST_EVERY.total_seconds())
        return f"Test messages must be {seconds} s apart: another one can be sent in {math.ceil(waits)} s."
    Channel.objects.filter(pk=channel.pk).update(test_asked_at=now, tested_at=now, last_error="")
    return ""


@transaction.atomic
def delete(channel: Channel) -> None:
    """Of two who do it at once, one is told of."""
    if Channel.objects.filter(pk=channel.pk).delete()[0]:
        _say(channel, "channel_deleted", f"Channel {channel.name} deleted.")


def _take(channel: Channel, wishes: Wishes, address: str) -> None:
    if address:
        channel.shown = addresses.parse(address).shown
        channel.sealed = crypto.seal(address, PURPOSE)
    channel.name, channel.topics, channel.minimum = wishes.name, list(wishes.topics), wishes.minimum
    channel.all_bots = wishes.bots is None
    channel.quiet_from, channel.quiet_to = wishes.quiet or (None, None)
    channel.zone, channel.errors_wake, channel.held_until = wishes.zone, wishes.errors_wake, None


def _from_now_on(channel: Channel) -> None:
    Channel.objects.filter(pk=channel.pk).update(cursor=horizon.last_given())


def _choose(channel: Channel, wishes: Wishes) -> None:
    channel.bots.set(wishes.bots or [])


def _say(channel: Channel, code: str, message: str) -> None:
    Event.objects.create(owner_id=channel.owner_id, code=code, message=message[:500])
