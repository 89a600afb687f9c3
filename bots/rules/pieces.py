"""The values that rules read, cut into blocks; and how many candles it takes to know them. Pure.

A block at a time, as TA-Lib gives it: it is read while it is in the processor's cache, and never copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from bots.rules.kept import Kept
from bots.rules.tree import Column, Source, Value
from markets.blocks import BLOCK, Block, block_candles, blocks, closed_rows, columns
from markets.indicators import Bound, bound, indicator
from markets.series import TIMEFRAME_NAMES, Candles
from markets.series import Column as Floats

# Source -> its values at the bars of a piece, shape (bars,).
Piece: TypeAlias = dict[Source, Floats]
MOST_LEAD: Final = 200_000  # candles
LONG: Final = 8 * BLOCK  # candles of a piece when nothing has to be computed: 256 KB a source


def lead(wanted: Iterable[Source], timeframe: int) -> int:
    """Candles of `timeframe` seconds that must be loaded before the first bar that somebody asks about.

    Raises ValueError with a sentence about a timeframe that cannot be made, and when it would be too many.
    """
    longest = 1  # a cross looks at the bar before
    for source in wanted:
        needed = _lead(source, timeframe)
        if needed > MOST_LEAD:
            raise ValueError(
                f"{source} needs {needed:,} candles of {TIMEFRAME_NAMES[timeframe]} before the first bar, and at most "
                f"{MOST_LEAD:,} are loaded: shorten it, or give the bot a longer timeframe."
            )
        longest = max(longest, needed)
    return longest


def _lead(source: Source, timeframe: int) -> int:
    target = _seconds(source, timeframe)
    length, memory = 1, 0
    if isinstance(source, Value):
        length, memory = block_candles(timeframe, target), _memory(source)
    # Of a higher timeframe the last closed candle may be the second before this one.
    behind = 0 if target == timeframe else 2
    # The bar before may belong to the block before.
    return (length + memory + behind) * (target // timeframe) + 1


def _seconds(source: Source, timeframe: int) -> int:
    target = source.timeframe or timeframe
    if target % timeframe:
        raise ValueError(f"{source} must be of a longer timeframe than the bot's {TIMEFRAME_NAMES[timeframe]}.")
    return target


def _named(value: Value) -> dict[str, float]:
    return dict(zip(indicator(value.indicator).defaults, value.parameters, strict=True))


def _memory(value: Value) -> int:
    return indicator(value.indicator).memory(_named(value))


def pieces(
    wanted: Iterable[Source], candles: Candles, timeframe: int, more: Mapping[str, Floats]
) -> Iterator[tuple[slice, Piece]]:
    """The candles in pieces, in order: their rows, and what the sources are in them.

    more: columns aligned with the candles.
    """
    whole: Piece = {}
    groups: dict[tuple[str, tuple[float, ...]], _Group] = {}
    for source in wanted:
        higher = _seconds(source, timeframe) != timeframe
        if isinstance(more, Kept) and (higher or isinstance(source, Value)):
            whole[source] = more.values_of(source, partial(_whole, source, candles, timeframe))
        elif higher:
            whole[source] = _higher(source, candles, timeframe)
        elif isinstance(source, Value):
            key = (source.indicator, source.parameters)
            if key not in groups:
                groups[key] = _Group.of(source, candles, timeframe)
            groups[key].add(source)
        else:
            whole[source] = more[source.name] if source.name in more else getattr(candles, source.name)
    for number, rows in enumerate(_rows(candles, timeframe, bool(groups))):
        piece = {source: column[rows] for source, column in whole.items()}
        for group in groups.values():
            group.compute(piece, number)
        yield rows, piece


def _rows(candles: Candles, timeframe: int, by_block: bool) -> list[slice]:
    """Of each piece. Blocks are looked for only where something is computed over them."""
    if by_block:
        return [slice(block.first, block.end) for block in blocks(candles.time, timeframe, BLOCK, 0)]
    return [slice(first, min(first + LONG, len(candles))) for first in range(0, len(candles), LONG)]


def _whole(source: Source, candles: Candles, timeframe: int) -> Floats:
    """What the pieces of a source make together."""
    if isinstance(source, Column) or source.timeframe not in (0, timeframe):
        return _higher(source, candles, timeframe)
    return columns(source.indicator, _named(source), candles, timeframe, timeframe)[source.output]


def _higher(source: Source, candles: Candles, timeframe: int) -> Floats:
    """A source of a higher timeframe as it was known at the close of every candle."""
    higher, rows = closed_rows(candles, source.timeframe, timeframe)
    if isinstance(source, Column):
        column = getattr(higher, source.name)
    else:
        column = columns(source.indicator, _named(source), higher, source.timeframe, timeframe)[source.output]
    return np.asarray(np.append(column, np.nan)[rows])


@dataclass(slots=True)
class _Group:
    """Outputs of one indicator on the candles themselves, computed as blocks are taken; each has its own lead."""

    whole: Bound
    blocks: list[Block]
    members: list[tuple[Value, int]] = field(default_factory=list)  # and which of the outputs it is

    @classmethod
    def of(cls, value: Value, candles: Candles, timeframe: int) -> _Group:
        whole = bound(value.indicator, candles, _named(value))
        return cls(whole, blocks(candles.time, timeframe, BLOCK, _memory(value)))

    def add(self, value: Value) -> None:
        self.members.append((value, self.whole.outputs.index(value.output)))

    def compute(self, piece: Piece, number: int) -> None:
        """Add what the members are in a block."""
        block = self.blocks[number]
        outputs = self.whole.over(block.lead, block.end)
        for value, output in self.members:
            piece[value] = outputs[output][block.first - block.lead :]
