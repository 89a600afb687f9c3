"""Computations under way in this process, so that the others of its threads wait for them instead of repeating them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TypeAlias

from orchestrator.cache.entries import Entry

# None: the computation gave nothing for this name.
Flight: TypeAlias = "Future[Entry | None]"
Name: TypeAlias = tuple[str, str]  # policy, name of the entry


class Flights:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[Name, Flight] = {}

    def board(self, names: Iterable[Name]) -> tuple[dict[Name, Flight], dict[Name, Flight]]:
        """Those that the caller now has to land, and those that another thread will."""
        mine: dict[Name, Flight] = {}
        others: dict[Name, Flight] = {}
        with self._lock:
            for name in names:
                if name in self._flying:
                    others[name] = self._flying[name]
                else:
                    mine[name] = self._flying[name] = Future()
        return mine, others

    def land(self, mine: dict[Name, Flight], entries: dict[Name, Entry], failure: BaseException | None) -> None:
        """Tell those who wait: what was computed, nothing, or why there is nothing."""
        with self._lock:
            for name in mine:
                del self._flying[name]
        for name, flight in mine.items():
            if isinstance(failure, Exception) and name not in entries:
                flight.set_exception(failure)
            elif failure is not None and name not in entries:
                flight.cancel()  # this thread is being ended, which is nobody else's business
            else:
                flight.set_result(entries.get(name))
