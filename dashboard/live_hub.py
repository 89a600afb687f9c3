"""Fan-out of changed topics to the browsers that listen. Pure asyncio: no Django, no socket of its own.

Ten thousand pages are told in one loop of writes: nothing is scheduled, encoded or compared for each of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import orjson

MOST_CLIENTS = 20_000
MOST_CLIENTS_A_USER = 50
# Topics below one that was asked for, from which on that one says it all in a few bytes.
MOST_NAMED = 50
# Pages that are told before others get their turn: connections that come or close meanwhile.
TOLD_AT_ONCE = 256
HEARTBEAT = b":\n\n"


class Full(Exception):
    """There are as many listeners as there may be, in all or of one user."""


def concerns(wanted: str, topic: str) -> bool:
    """ "user:1" covers "user:1/bot:5", "market" covers "market:3", and every topic covers itself."""
    return topic == wanted or topic.startswith((f"{wanted}/", f"{wanted}:"))


def covering(topic: str) -> list[str]:
    """All that concerns() a topic: itself and what it is below."""
    return [topic, *(topic[:at] for at, letter in enumerate(topic) if letter in "/:")]


def message(topics: Iterable[str]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps({"topics": sorted(topics)})


def _permitted(user_id: int, wanted: Iterable[str]) -> frozenset[str]:
    """A user's topics are for that user alone, whatever the page asks for; the others are public."""
    own = f"user:{user_id}"
    asked = (own if word == "user" else word for word in wanted)
    return frozenset(word for word in asked if not word.startswith("user:") or concerns(own, word))


class Line(Protocol):
    """The way to a browser, as asyncio's transports are."""

    def write(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...


@dataclass(eq=False, slots=True)
class Client:
    """One open page. What a slow reader has not been told yet is a set: it gets the union, never a backlog."""

    user_id: int
    session: str
    wanted: frozenset[str]
    line: Line
    _missed: set[str] | None = None  # None: it reads as fast as it is told

    def tell(self, topics: Iterable[str], data: bytes) -> None:
        """data: the message of these topics."""
        if self._missed is None:
            self.line.write(data)
        else:
            self._missed.update(topics)

    def beat(self) -> None:
        """A comment, so that proxies keep the line open and a lost connection is noticed."""
        if self._missed is None:
            self.line.write(HEARTBEAT)

    def pause(self) -> None:
        self._missed = set()

    def resume(self) -> None:
        missed, self._missed = self._missed, None
        if missed:
            self.line.write(message(missed))


class Hub:
    def __init__(self, most: int = MOST_CLIENTS, most_a_user: int = MOST_CLIENTS_A_USER) -> None:
        self._most = most
        self._most_a_user = most_a_user
        self._clients: set[Client] = set()
        self._of_users: Counter[int] = Counter()
        self._listeners: defaultdict[str, set[Client]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        """Those that listen now: some may leave while they are gone through."""
        return iter(list(self._clients))

    def join(self, user_id: int, session: str, wanted: Iterable[str], line: Line) -> Client:
        """Raises Full."""
        if len(self._clients) >= self._most or self._of_users[user_id] >= self._most_a_user:
            raise Full
        client = Client(user_id, session, _permitted(user_id, wanted), line)
        self._clients.add(client)
        self._of_users[user_id] += 1
        for word in client.wanted:
            self._listeners[word].add(client)
        return client

    def leave(self, client: Client) -> None:
        client.pause()  # it may be about to be told something, and its line is no more
        self._clients.remove(client)
        self._of_users[client.user_id] -= 1
        if not self._of_users[client.user_id]:
            del self._of_users[client.user_id]
        for word in client.wanted:
            self._listeners[word].remove(client)
            if not self._listeners[word]:
                del self._listeners[word]

    async def publish(self, topics: Iterable[str]) -> None:
        """Tell everybody concerned; pages that asked for the same share one message."""
        below: dict[str, set[str]] = defaultdict(set)
        for topic in topics:
            for word in self._listeners.keys() & set(covering(topic)):
                below[word].add(topic)
        heard: dict[Client, tuple[str, ...]] = {}
        for word in below:
            for client in self._listeners[word]:
                heard[client] = (*heard.get(client, ()), word)
        await _tell(heard, {word: found if len(found) <= MOST_NAMED else {word} for word, found in below.items()})

    async def publish_everything(self) -> None:
        """After a gap in what the database told: each page fetches all its parts once."""
        heard = {client: tuple(sorted(client.wanted)) for client in self._clients if client.wanted}
        await _tell(heard, {word: {word} for word in self._listeners})


async def _tell(heard: dict[Client, tuple[str, ...]], below: dict[str, set[str]]) -> None:
    """heard: words of each page under which something changed; below: what it was."""
    made: dict[tuple[str, ...], tuple[set[str], bytes]] = {}
    for number, (client, words) in enumerate(heard.items(), start=1):
        if words not in made:
            topics = set().union(*(below[word] for word in words))
            made[words] = topics, message(topics)
        client.tell(*made[words])
        if number % TOLD_AT_ONCE == 0:
            await asyncio.sleep(0)
