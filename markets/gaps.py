"""Stretches without candles: those to be asked for, and those that an exchange is known to have none of.

A stretch is [open time of the first missing candle, open time of the next there is), ms UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from markets import candles as store
from markets.models import CandleGap

Stretch = tuple[int, int]


def missing(market_id: int, timeframe: int, start: int, end: int) -> list[Stretch]:
    """Stretches of [start, end) that are neither stored nor declared, ascending; timeframe in seconds."""
    if start >= end:
        return []
    return without(_unstored(market_id, timeframe, start, end), declared(market_id, timeframe, start, end))


def _unstored(market_id: int, timeframe: int, start: int, end: int) -> list[Stretch]:
    extent = store.extent(market_id, timeframe, start, end)
    if extent is None:
        return [(start, end)]
    first, last = extent
    ends = [(start, first)], [(last + timeframe * 1000, end)]
    inside = store.gaps(market_id, timeframe, first, end)
    return [(begin, after) for begin, after in (*ends[0], *inside, *ends[1]) if begin < after]


def declared(market_id: int, timeframe: int, start: int, end: int) -> list[Stretch]:
    """Declared stretches that reach into [start, end), ascending."""
    found = CandleGap.objects.filter(market_id=market_id, timeframe=timeframe, start__lt=end, end__gt=start)
    return list(found.order_by("start").values_list("start", "end"))


def declare(market_id: int, timeframe: int, stretches: Iterable[Stretch]) -> int:
    """Note that the exchange has no candles there; number of stretches noted."""
    rows = [CandleGap(market_id=market_id, timeframe=timeframe, start=start, end=end) for start, end in stretches]
    CandleGap.objects.bulk_create(
        rows,
        batch_size=5000,
        update_conflicts=True,
        unique_fields=["market", "timeframe", "start"],
        update_fields=["end", "declared_at"],
    )
    return len(rows)


def without(stretches: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    """What is left of ascending, disjoint stretches where the others, ascending by their start, are taken out."""
    left: list[Stretch] = []
    index = 0
    for start, end in stretches:
        while index < len(others) and others[index][1] <= start:
            index += 1
        cursor, other = start, index
        while other < len(others) and others[other][0] < end:
            if others[other][0] > cursor:
                left.append((cursor, others[other][0]))
            cursor = max(cursor, others[other][1])
            other += 1
        if cursor < end:
            left.append((cursor, end))
    return left


def filled(stretches: Sequence[Stretch], left: Sequence[Stretch]) -> int:
    """How many of ascending stretches have nothing left; left: what is missing of them still, ascending."""
    starts = [start for start, _ in left]
    firsts = (bisect_left(starts, start) for start, _ in stretches)
    return sum(first == len(starts) or starts[first] >= end for first, (_, end) in zip(firsts, stretches, strict=True))
