"""Stretches without candles: those to be asked for, and those that an exchange is known to have none of.

A stretch is [open time of the first missing candle, open time of the next there is), ms UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import BigIntegerField, Count, Max, Sum, Value
from django.db.models.functions import Greatest, Least

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


class Declared(NamedTuple):
    """Of one feed. stretches: how many; candles: missing in them; last: the latest one."""

    stretches: int
    candles: int
    last: Stretch


def summaries(market_id: int, timeframe: int | None = None, start: int = 0, end: int = 2**62) -> dict[int, Declared]:
    """Timeframe -> what is declared in [start, end) ms UTC, of one timeframe or all; one query."""
    rows = CandleGap.objects.filter(market_id=market_id, start__lt=end, end__gt=start).order_by()
    if timeframe is not None:
        rows = rows.filter(timeframe=timeframe)
    within = Least("end", Value(end)) - Greatest("start", Value(start))
    missing = Sum(within, output_field=BigIntegerField())
    found = rows.values("timeframe").annotate(count=Count("pk"), ms=missing, first=Max("start"), after=Max("end"))
    return {
        row["timeframe"]: Declared(row["count"], row["ms"] // (row["timeframe"] * 1000), (row["first"], row["after"]))
        for row in found
    }


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
