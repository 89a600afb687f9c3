"""Says what changed, to whom it may concern: one NOTIFY channel that the event stream listens to.

A topic is "market:3" (public), or "user:1" and "user:1/bot:5" (for user 1 alone). A message leaves when the transaction
commits.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

CHANNEL = "changed"
MARKETS = "market"  # every market


def user_topic(owner_id: int) -> str:
    return f"user:{owner_id}"


def bot_topic(owner_id: int, bot_id: int) -> str:
    return f"user:{owner_id}/bot:{bot_id}"


def market_topic(market_id: int) -> str:
    return f"{MARKETS}:{market_id}"


def changed(topics: Iterable[str]) -> None:
    """Tell the event stream about these topics, once each, when the current transaction commits."""
    unique = sorted(set(topics))
    if unique:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, topic) FROM unnest(%s::text[]) AS topic", [CHANNEL, unique])
