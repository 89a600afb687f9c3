"""Which events a channel is to tell: one condition in SQL, for all channels at once or for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from bots.models import Channel
from bots.notifications import topics

LEVELS = "ARRAY['info', 'warning', 'error']"
_HELD = "coalesce(c.held_until > %(now)s, false)"
_LISTENS = f"(c.errors_wake OR NOT {_HELD})"
# Of channel c and event e. Read through event_owner_id, from the channel's place on. In quiet hours, errors alone.
_TOLD = f"""
e.owner_id = c.owner_id AND e.id <= %(horizon)s
AND e.id > CASE WHEN {_HELD} THEN greatest(c.cursor, c.woken) ELSE c.cursor END
AND array_position({LEVELS}, e.level::text) >= array_position({LEVELS}, c.minimum::text)
AND {topics.SQL} = ANY(c.topics)
AND (c.all_bots OR e.bot_id IN (SELECT chosen.bot_id FROM bots_channel_bots chosen WHERE chosen.channel_id = c.id))
AND CASE WHEN e.level = 'error' THEN {_LISTENS} AND e.id > c.woken ELSE NOT {_HELD} END
"""
# Of a channel, so that each is looked up by itself: joined, the planner would read all events there ever were.
_NEXT = f"LEFT JOIN LATERAL (SELECT e.id FROM bots_event e WHERE {_TOLD} ORDER BY e.id LIMIT 1) next ON true"
# Nothing to tell up to the horizon: what is looked through stays short. Locked in the order of channels.test().
_PASS_BY = f"""
UPDATE bots_channel p SET cursor = CASE WHEN idle.held THEN p.cursor ELSE %(horizon)s END,
    woken = CASE WHEN idle.held THEN %(horizon)s ELSE 0 END
FROM (
    SELECT c.id, {_HELD} AS held FROM bots_channel c {_NEXT}
    WHERE c.enabled AND {_LISTENS} AND next.id IS NULL
      AND CASE WHEN {_HELD} THEN greatest(c.cursor, c.woken) ELSE c.cursor END < %(horizon)s
    ORDER BY c.id FOR UPDATE OF c
) idle WHERE p.id = idle.id
"""
# A channel's turn counts those of its owner that are being sent to.
_WAITING = f"""
SELECT id FROM (
    SELECT c.id, c.not_before, row_number() OVER (PARTITION BY c.owner_id ORDER BY c.not_before, c.id) + (
        SELECT count(*) FROM bots_channel other WHERE other.owner_id = c.owner_id AND other.id = ANY(%(sending)s)
    ) AS turn
    FROM bots_channel c JOIN auth_user u ON u.id = c.owner_id {_NEXT}
    WHERE u.is_active AND c.id <> ALL(%(sending)s) AND (
        c.test_asked_at IS NOT NULL OR c.enabled AND {_LISTENS} AND c.not_before <= %(now)s AND next.id IS NOT NULL)
) waiting
WHERE turn <= %(of_one_owner)s ORDER BY turn, not_before, id LIMIT 1000
"""
# Of one channel. What is known of it is said again in figures, which the planner can count with.
_OF_ONE = f"{_TOLD} AND e.owner_id = %(owner)s AND e.id > %(cursor)s"
_COUNTS = f"""
SELECT e.level, count(*) FROM bots_channel c JOIN bots_event e ON {_OF_ONE} WHERE c.id = %(channel)s GROUP BY e.level
"""
_FIRST = f"""
SELECT e.level, e.message, e.time, b.name, a.mode
FROM bots_channel c JOIN bots_event e ON {_OF_ONE}
LEFT JOIN bots_bot b ON b.id = e.bot_id LEFT JOIN bots_account a ON a.id = b.account_id
WHERE c.id = %(channel)s
ORDER BY array_position({LEVELS}, e.level::text) DESC, e.id LIMIT %(most)s
"""


class Line(NamedTuple):
    level: str
    message: str
    time: datetime
    bot: str | None
    mode: str | None  # of the bot's account


class Told(NamedTuple):
    """What a channel is to tell: how many events of each level, and the first of them, the worst before others."""

    counts: dict[str, int]
    lines: list[Line]


def pass_by(horizon: int, now: datetime) -> None:
    """Move the channels on that have nothing to tell up to the horizon."""
    with connection.cursor() as cursor:
        cursor.execute(_PASS_BY, {"horizon": horizon, "now": now})


def waiting(horizon: int, now: datetime, sending: Sequence[int] = (), of_one_owner: int = 1000) -> list[int]:
    """Ids of the channels that have something to send now: one of each owner in turn, who waited longest first.

    sending: those that are being sent to and not meant; of_one_owner: at most so many of each owner, these counted.
    """
    values: dict[str, Any] = {"horizon": horizon, "now": now, "sending": list(sending), "of_one_owner": of_one_owner}
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, values)
        return [int(row[0]) for row in cursor]


def told(channel: Channel, horizon: int, now: datetime, most: int) -> Told:
    of_one = {"channel": channel.pk, "owner": channel.owner_id, "cursor": channel.cursor}
    values: dict[str, Any] = {"horizon": horizon, "now": now, "most": most, **of_one}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, values)
        counts = dict(cursor.fetchall())
        cursor.execute(_FIRST, values)
        return Told(counts, [Line(*row) for row in cursor])
