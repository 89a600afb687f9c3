"""The process that sends: there while something is to be sent, and gone afterwards.

A slow service must not keep a worker from its bots, and whoever may say where this machine sends to should not do it
from a process that can do more. So the job that looks, every five seconds, asks the database alone; it starts this
process when there is something to send. One runs at a time, by a lock that falls with its connection.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from bots.notifications import horizon, selection
from bots.notifications.delivery import deliver, put_aside
from orchestrator import home, outbound
from orchestrator.servers import children
from orchestrator.servers.logs import Log
from orchestrator.servers.privileges import LINUX

log = logging.getLogger(__name__)

COMMAND = "deliver_notifications"
SENDERS = 8
OF_ONE_OWNER = 2  # of them at a time, as each may wait for half a minute
LOOK_SECONDS = 1.0  # in which what has happened meanwhile is found, while services are waited for
MEMORY = 2 << 30  # bytes of address space: an endless answer ends this process, not the machine
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('notifications', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('notifications', 0))"
_started: list[children.Child] = []


def send_out() -> int:
    """Have sent what there is to send: how many channels wait. Waits for no service and for nobody who writes."""
    place, now = horizon.settle(), timezone.now()
    selection.pass_by(place, now)
    count = len(selection.waiting(place, now))
    if count and _nobody_sends():
        _start()
    return count


def run() -> int:
    """Send until nothing waits; how many messages were tried. Ends at once where another process does it."""
    if not _asked(_LOCK):
        return 0
    try:
        with ThreadPoolExecutor(SENDERS) as senders:
            return _send_all(senders)
    finally:
        _asked(_UNLOCK)


def _send_all(senders: ThreadPoolExecutor) -> int:
    """Keep all senders busy: a service that is slow holds up its own channel, one message at a time, and no other.

    A channel is looked up again when it is sent to, so that one which waited in the line tells all that there is then.
    """
    tried, place, looked = 0, 0, -LOOK_SECONDS
    sending: dict[Future[None], int] = {}
    line: deque[int] = deque()
    while True:
        if not line or time.monotonic() - looked >= LOOK_SECONDS:
            place, looked = horizon.settle(), time.monotonic()
            line = deque(selection.waiting(place, timezone.now(), list(sending.values()), OF_ONE_OWNER))
        if not (line or sending):
            return tried
        while line and len(sending) < SENDERS:
            channel = line.popleft()
            sending[senders.submit(_deliver, channel, place)] = channel
            tried += 1
        done, _ = wait(sending, LOOK_SECONDS, FIRST_COMPLETED)
        for future in done:
            del sending[future]


def confine() -> None:
    """What this process may do, from now on."""
    outbound.confine(settings.ALLOW_LOCAL_NOTIFICATIONS)
    os.environ["NETRC"] = os.devnull  # passwords of who runs this, which requests would send to a host named there
    if LINUX:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _deliver(channel_id: int, place: int) -> None:
    try:
        deliver(channel_id, place)
    except Exception as error:  # of one channel, which must not end those of others
        log.exception("channel %s", channel_id)
        put_aside(channel_id, error)
    finally:
        connections.close_all()


def _nobody_sends() -> bool:
    return _asked(_LOCK) and _asked(_UNLOCK)


def _start() -> None:
    _started[:] = [child for child in _started if child.poll() is None]
    path = home.folder("logs") / "courier.log"
    Log(path).rotate()
    # Each thread would reserve 128 MB of address space for itself.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    _started.append(children.spawn([sys.executable, "manage.py", COMMAND], path, environment, home.PROJECT))


def _asked(query: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return bool(cursor.fetchone()[0])
