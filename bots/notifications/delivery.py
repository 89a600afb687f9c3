"""What becomes of one channel's message: told, tried again later, or given up. No event is lost in between.

A channel's place among the events moves after its message was taken, in one statement. Whoever dies before leaves it
where it was: the message is sent again, at most once more than it was taken.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from bots.models import Channel, Event
from bots.notifications import messages, selection
from bots.notifications.sending import Undelivered, send
from orchestrator import crypto, notify

log = logging.getLogger(__name__)

PURPOSE = "notification channel"
GAP = timedelta(seconds=20)  # between two messages of a channel; what happens meanwhile is summed up
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=1)
PATIENCE = timedelta(hours=24)
UNREADABLE = "Its address cannot be read any more, as SECRET_KEY was changed: enter it again."


def deliver(channel_id: int, horizon: int) -> None:
    """Send what one channel has to say, if it still has."""
    now = timezone.now()
    channel = Channel.objects.filter(pk=channel_id, owner__is_active=True).first()
    if channel is None:
        return
    if channel.test_asked_at is not None:
        _test(channel)
    if channel.enabled and channel.not_before <= now and not _begins_to_hold(channel, now):
        told = selection.told(channel, horizon, now, messages.MOST_LINES)
        if told.lines:
            _tell(channel, messages.compose(told, channel.zone), horizon, now)


def put_aside(channel_id: int, error: Exception) -> None:
    """Leave a channel alone for a while that this program itself failed at."""
    Channel.objects.filter(pk=channel_id).update(
        test_asked_at=None,
        not_before=timezone.now() + LONGEST_PAUSE,
        last_error=f"It could not be tried: {type(error).__name__}. The courier's log tells more.",
    )


def quiet_until(channel: Channel, now: datetime) -> datetime | None:
    """When the quiet hours end that it is in at this moment; None outside of them."""
    begin, end = channel.quiet_from, channel.quiet_to
    if begin is None or end is None or begin == end:
        return None
    local = now.astimezone(ZoneInfo(channel.zone))
    here = local.time()
    quiet = begin <= here < end if begin < end else here >= begin or here < end
    if not quiet:
        return None
    day = local.date() + timedelta(days=1 if here >= end else 0)
    until = datetime.combine(day, time(end.hour, end.minute), local.tzinfo)
    # Where clocks are set back it comes twice.
    return until if until.astimezone(UTC) > now else until.replace(fold=1)


def _begins_to_hold(channel: Channel, now: datetime) -> bool:
    """Write down that its quiet hours have begun; what may be told in them is told in the next round."""
    ends = quiet_until(channel, now)
    # In UTC: a moment that clocks skip or show twice equals none of another zone (PEP 495).
    until = ends and ends.astimezone(UTC)
    if until is None or channel.held_until == until:
        return False
    return bool(
        Channel.objects.filter(pk=channel.pk).update(held_until=until, woken=max(channel.woken, channel.cursor))
    )


def _test(channel: Channel) -> None:
    """Send the test message that was asked for; what came of it is on the page."""
    error = _attempt(channel, messages.TEST)
    done: dict[str, Any] = {"test_asked_at": None, "last_error": error}
    if not error:
        done |= {"last_success_at": timezone.now(), "failures": 0, "failing_since": None, "not_before": timezone.now()}
    Channel.objects.filter(pk=channel.pk, sealed=channel.sealed).update(**done)


def _tell(channel: Channel, message: messages.Message, horizon: int, now: datetime) -> None:
    error = _attempt(channel, message)
    if error:
        _put_off(channel, error, horizon, now)
        return
    held = channel.held_until is not None and channel.held_until > now
    place = {"woken": horizon} if held else {"cursor": horizon, "woken": 0, "held_until": None}
    fresh = {"failures": 0, "failing_since": None, "last_error": "", "last_success_at": timezone.now()}
    # Unless a person has set it elsewhere meanwhile.
    same = Channel.objects.filter(pk=channel.pk, cursor=channel.cursor)
    same.update(**place, **fresh, not_before=timezone.now() + GAP)


def _attempt(channel: Channel, message: messages.Message) -> str:
    """Why it was not sent; "" when it was."""
    try:
        send(crypto.unseal(channel.sealed, PURPOSE), message)
    except crypto.Unreadable:
        return UNREADABLE
    except Undelivered as error:
        log.warning("channel %s: %s", channel.pk, error)
        return str(error)[:200]
    return ""


def _put_off(channel: Channel, error: str, horizon: int, now: datetime) -> None:
    """Try again later and later; give up once it has failed for a day."""
    since = channel.failing_since or now
    if now - since >= PATIENCE:
        _give_up(channel, error, horizon, now)
        return
    pause = min(FIRST_PAUSE * 2 ** min(channel.failures, 20), LONGEST_PAUSE)
    Channel.objects.filter(pk=channel.pk, sealed=channel.sealed).update(
        failures=channel.failures + 1, failing_since=since, last_error=error, not_before=timezone.now() + pause
    )


@transaction.atomic
def _give_up(channel: Channel, error: str, horizon: int, now: datetime) -> None:
    """Pause the channel and say so in an Event, which the owner's other channels tell."""
    untold = sum(selection.told(channel, horizon, now, 0).counts.values())
    same = Channel.objects.filter(pk=channel.pk, sealed=channel.sealed, enabled=True)
    if not same.update(enabled=False, cursor=horizon, woken=0, held_until=None, failures=0, last_error=error):
        return
    hours = int(PATIENCE.total_seconds() // 3600)
    sentence = (
        f"Channel {channel.name} is paused: for {hours} hours nothing could be sent to it, and {untold:,} "
        f"{'event was' if untold == 1 else 'events were'} not told there. {error}"
    )
    Event.objects.create(
        owner_id=channel.owner_id, level=Event.Level.ERROR, code="channel_failed", message=sentence[:500]
    )
    notify.changed([notify.user_topic(channel.owner_id)])
