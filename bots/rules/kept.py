"""Values of indicators over one series of candles, kept for all rules that read them. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from bots.rules.tree import Source
from markets.series import Column

MOST_BYTES: Final = 256 << 20


class Kept(Mapping[str, Column]):
    """Columns by name, as rules take them; given to rules over the same candles, it keeps their indicators as well.

    The values of the longest unread source go when there would be more than MOST_BYTES. Threads may share one with a
    lock.
    """

    def __init__(self, columns: Mapping[str, Column], lock: AbstractContextManager[Any]) -> None:
        self._columns, self._lock = columns, lock
        self._values: OrderedDict[Source, Column] = OrderedDict()

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def values_of(self, source: Source, compute: Callable[[], Column]) -> Column:
        """The values of a source, computed by the first who asks."""
        with self._lock:
            if source not in self._values:
                column = compute()
                while self._values and (len(self._values) + 1) * column.nbytes > MOST_BYTES:
                    self._values.popitem(last=False)
                self._values[source] = column
            self._values.move_to_end(source)
            return self._values[source]
