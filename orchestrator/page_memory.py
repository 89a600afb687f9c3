"""Pages that this process has just found in the store (orchestrator/page_store.py), unpacked.

Each is for who asked exactly as before, and only as long as Redis has no change of its topics since it began: that is
asked every time, for some bytes instead of the page.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

from orchestrator.observability.metrics import REQUESTS

if TYPE_CHECKING:
    from prometheus_client import Histogram

Asked = tuple[str | None, ...]  # all of a request that an answer may hang on
Headers = list[tuple[str, str]]

MOST_BYTES = 8_000_000  # in each process
ENTRY_BYTES = 8_000  # of the headers and the objects of one page, beside its body and who asks
CHANGED = "orchestrator:changed"
_OF_A_BODY = {"content-length", "content-type", "content-encoding"}


class Moment(NamedTuple):
    """Seconds of a clock that nobody can set, and of one that goes on while the machine sleeps."""

    steady: float
    wall: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    headers: Headers
    body: bytes
    count: Histogram


@dataclass(frozen=True, slots=True)
class Page:
    """born: no later than it began, by this process' two clocks; began: by Redis', in µs; changes: keys in Redis.

    whole: None where the browser was told that it has the page.
    """

    born: Moment
    began: bytes
    changes: tuple[str, ...]
    etag: str
    whole: Answer | None
    not_modified: Answer

    @classmethod
    def of(cls, entry: bytes, now: bytes, asked_at: Moment) -> Page:
        """entry: as kept; now: Redis' time when it was found, in µs; asked_at: this process' before that."""
        first, head, body = entry.split(b"\n", 2)
        began, *topics = first.split()
        view, status, etag, told = orjson.loads(head)
        headers = [(name, value) for name, value in told]
        known = [(name, value) for name, value in headers if name.lower() not in _OF_A_BODY]
        not_modified = Answer("304 Not Modified", known, b"", REQUESTS.labels(view, "GET", "304"))
        whole = None if status.startswith("304") else Answer(status, headers, body, _counted(view, status))
        changes = tuple(f"{CHANGED}:{topic.decode()}" for topic in topics)
        age = (int(now) - int(began)) / 1e6
        return cls(Moment(*[one - age for one in asked_at]), began, changes, etag, whole, not_modified)

    def answer(self, known: str) -> Answer | None:
        """None for a 304 that was kept, asked for by one who has not the page. known: the browser's If-None-Match."""
        if known and self.etag in (one.strip() for one in known.split(",")):
            return self.not_modified
        return self.whole


def _counted(view: str, status: str) -> Histogram:
    return REQUESTS.labels(view, "GET", status[:3])


def _size(asked: Asked, answer: Answer) -> int:
    """Bytes. A fragment is a hundred, and its address and cookies may be thousands."""
    return ENTRY_BYTES + len(answer.body) + sum([len(part) for part in asked if part])


class Memory:
    """The latest pages, by who asks for them; of all threads."""

    def __init__(self) -> None:
        self._pages: dict[Asked, Page] = {}
        self._size = 0
        self._lock = threading.Lock()

    def get(self, asked: Asked, now: Moment, most_ms: float) -> Page | None:
        """One that is no older than that, by either clock."""
        page = self._pages.get(asked)
        if page is None:
            return None
        age = max(now.steady - page.born.steady, now.wall - page.born.wall)
        return page if 1000.0 * age < most_ms else None

    def keep(self, asked: Asked, page: Page) -> None:
        """In place of the oldest ones where there is no room. A 304 is not remembered: it is not for everybody."""
        if page.whole is None:
            return
        with self._lock:
            self._forget(asked)
            self._pages[asked] = page
            self._size += _size(asked, page.whole)
            while self._size > MOST_BYTES:
                self._forget(next(iter(self._pages)))

    def _forget(self, asked: Asked) -> None:
        page = self._pages.pop(asked, None)
        if page is not None and page.whole is not None:
            self._size -= _size(asked, page.whole)
