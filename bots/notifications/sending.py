"""One message to one address, now. Meant for the courier's process, which is confined to what may be connected to."""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib import import_module
from typing import Any

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from bots.notifications import addresses
from bots.notifications.messages import Message
from orchestrator import outbound


class Undelivered(Exception):
    """The message says why, and nothing of the address."""


@sensitive_variables()
def send(address: str, message: Message) -> None:
    """Send, and wait for the service to take it, half a minute at most. Raises Undelivered."""
    try:
        target = addresses.parse(address)
    except addresses.BrokenAddress as error:
        raise Undelivered(str(error)) from None
    apprise = import_module("apprise")
    outgoing = apprise.Apprise(asset=target.plugin.asset)
    outgoing.add(target.plugin)
    try:
        result = outgoing.notify(
            title=message.title, body=message.body, notify_type=message.type, body_format=apprise.NotifyFormat.TEXT
        )
    except Exception as error:
        raise Undelivered(f"The message could not be written: {type(error).__name__}.") from None
    if not result:
        raise Undelivered(_why(result, target))


def _why(result: Any, target: addresses.Target) -> str:
    """In our words: a service's own, or the library's, may repeat the address."""
    said = " ".join(str(entry.message) for service in result for attempt in service for entry in attempt.logs)
    found = re.search(r"error=(\d{3})\b", said)
    if found and int(found[1]) in {status.value for status in HTTPStatus}:
        status = HTTPStatus(int(found[1]))
        return f"{target.host} answered {status.value} {status.phrase}."
    reached = outbound.reaches(target.host, settings.ALLOW_LOCAL_NOTIFICATIONS)
    if reached is None:
        return f"{target.host} has no address: its name is not known."
    if not reached:
        return addresses.PRIVATE
    return f"{target.host} could not be reached, did not answer in time, or did not take the message."
