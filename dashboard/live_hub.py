"""Fan-out of changed topics to the browsers that listen. Pure asyncio: no Django, no socket of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_CLIENTS = 20_000
MOST_CLIENTS_A_USER = 50


class Full(Exception):
    """There are as many listeners as there may be, in all or of one user."""


def concerns(wanted: str, topic: str) -> bool:
    """ "user:1" covers "user:1/bot:5", "market" covers "market:3", and every topic covers itself."""
    return topic == wanted or topic.startswith((f"{wanted}/", f"{wanted}:"))


@dataclass(eq=False, slots=True)
class Client:
    """One open page. What it has not been told yet is a set: a slow reader gets the union, never a backlog."""

    user_id: int
    wanted: frozenset[str]
    _pending: set[str] = field(default_factory=set)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def may_see(self, topic: str) -> bool:
        """A user's topics are for that user alone, whatever the page asks for; the others are public."""
        return not topic.startswith("user:") or concerns(f"user:{self.user_id}", topic)

    def offer(self, topics: Iterable[str]) -> None:
        for topic in topics:
            if self.may_see(topic) and any(concerns(wanted, topic) for wanted in self.wanted):
                self._pending.add(topic)
        if self._pending:
            self._ready.set()

    async def topics(self, patience: float) -> list[str]:
        """What changed since the last call, sorted; empty when nothing did within `patience` seconds."""
        try:
            # wait_for() would make a task of its own for every page, at every change.
            async with asyncio.timeout(patience):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        topics, self._pending = sorted(self._pending), set()
        return topics


class Hub:
    def __init__(self, most: int = MOST_CLIENTS, most_a_user: int = MOST_CLIENTS_A_USER) -> None:
        self._most = most
        self._most_a_user = most_a_user
        self._clients: dict[int, set[Client]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, user_id: int, wanted: Iterable[str]) -> Client:
        """Raises Full."""
        clients = self._clients.setdefault(user_id, set())
        if self._count >= self._most or len(clients) >= self._most_a_user:
            raise Full
        client = Client(user_id, frozenset(wanted))
        clients.add(client)
        self._count += 1
        return client

    def leave(self, client: Client) -> None:
        clients = self._clients[client.user_id]
        clients.remove(client)
        self._count -= 1
        if not clients:
            del self._clients[client.user_id]

    def publish(self, topics: Iterable[str]) -> None:
        """Tell everybody concerned; a user's own topics cost no look at the other users."""
        public = []
        for topic in topics:
            owner = topic.removeprefix("user:").partition("/")[0] if topic.startswith("user:") else None
            if owner is None:
                public.append(topic)
            elif owner.isdecimal():
                for client in self._clients.get(int(owner), ()):
                    client.offer([topic])
        if public:
            for clients in self._clients.values():
                for client in clients:
                    client.offer(public)

    def publish_everything(self) -> None:
        """After a gap in what the database told: each page fetches all its parts once."""
        for clients in self._clients.values():
            for client in clients:
                client.offer(client.wanted)
