"""Browsers that ask a server over connections they keep: an Order on standard input, a Result on standard output.

A process of its own, and as little work for a request as can be: the clients on PyPI (aiohttp, httpx, Locust's) need
longer for one than the server that is to be measured.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from itertools import count
from typing import TypedDict

FRESH = b"{fresh}"  # in a request: another number each time
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_CHUNK = 1 << 18
PATIENCE = 60.0  # seconds beyond the end, as long as nothing was answered


class Order(TypedDict):
    """visitors: the requests of each, over and over; every: seconds between two, 0: one upon another."""

    port: int
    seconds: float
    every: float
    visitors: list[list[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """asked: requests sent; statuses: how often each came, "closed" for a connection that the server ended.

    ms: of every answer, from when it was due; size: bytes of all; cpu: own seconds.
    """

    asked: int
    statuses: dict[str, int]
    ms: list[float]
    size: int
    seconds: float
    cpu: float


class Visitor:
    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._requests = requests
        self._got = b""

    def ask(self, due: float) -> None:
        self.due, self._got = due, b""
        self.socket.sendall(next(self._requests))

    def answered(self) -> str | None:
        """The status of an answer that is whole. Raises ConnectionError when the server closes."""
        got = self.socket.recv(_CHUNK)
        if not got:
            raise ConnectionError("the server closed a connection")
        self._got = self._got + got if self._got else got
        end = self._got.find(_END)
        if end < 0 or len(self._got) < end + len(_END) + _length(self._got[:end]):
            return None
        return self._got[9:12].decode()

    @property
    def size(self) -> int:
        return len(self._got)


def _length(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    return int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _asked(requests: list[str], numbers: Iterator[int]) -> Iterator[bytes]:
    while True:
        for request in requests:
            yield request.encode().replace(FRESH, b"%d" % next(numbers))


def run(order: Order) -> Result:
    numbers = count(time.time_ns())
    visitors = [Visitor(order["port"], _asked(requests, numbers)) for requests in order["visitors"]]
    selector = selectors.DefaultSelector()
    for turn, visitor in enumerate(visitors):
        selector.register(visitor.socket, selectors.EVENT_READ, turn)
    statuses: Counter[str] = Counter()
    taken: list[float] = []
    began, cpu, size, asked = time.perf_counter(), time.process_time(), 0, 0
    # Visitors that come every so often come one after another, not all at once.
    waiting = [(began + order["every"] * turn / len(visitors), turn) for turn in range(len(visitors))]
    end = began + order["seconds"]
    # One that is answered late is waited for, so that a short measurement on a busy machine has a row at all.
    while (now := time.perf_counter()) < end or (not taken and now < end + PATIENCE):
        while waiting and waiting[0][0] <= now:
            due, turn = heappop(waiting)
            visitors[turn].ask(due if order["every"] else now)
            asked += 1
        for key, _ in selector.select(max(0.0, waiting[0][0] - now) if waiting else 0.1):
            visitor = visitors[key.data]
            try:
                status = visitor.answered()
            except ConnectionError:
                statuses["closed"] += 1
                selector.unregister(visitor.socket)
                continue
            if status is None:
                continue
            now = time.perf_counter()
            statuses[status] += 1
            taken.append(1000.0 * (now - visitor.due))
            size += visitor.size
            if order["every"]:
                heappush(waiting, (max(now, visitor.due + order["every"]), key.data))
            else:
                visitor.ask(now)
                asked += 1
    result = Result(asked, dict(statuses), taken, size, time.perf_counter() - began, time.process_time() - cpu)
    for visitor in visitors:
        visitor.socket.close()
    return result


if __name__ == "__main__":
    json.dump(asdict(run(json.load(sys.stdin))), sys.stdout)
