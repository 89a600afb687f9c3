"""The values that rules read, cut into blocks; and how many candles it takes to know them. Pure.

Block by block every temporary stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from bots.rules.tree import Column, Source, Value
from markets.blocks import BLOCK, Block, block_candles, blocks, closed_rows, columns
from markets.indicators import compute, indicator
from markets.series import TIMEFRAME_NAMES, Candles
from markets.series import Column as Floats

# Source -> its values at the bar before a block and at those of the block, shape (1 + bars,).
Piece: TypeAlias = dict[Source, Floats]
MOST_LEAD: Final = 200_000  # candles


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
) -> Iterator[tuple[Block, Piece]]:
    """Every block of the candles in order, with what the sources are in it; more: columns aligned with the candles."""
    whole: Piece = {}
    groups: dict[tuple[str, tuple[float, ...]], _Group] = {}
    for source in wanted:
        if _seconds(source, timeframe) != timeframe:
            whole[source] = _higher(source, candles, timeframe)
        elif isinstance(source, Value):
            group = groups.setdefault((source.indicator, source.parameters), _Group(source, candles, timeframe))
            group.members.append(source)
        else:
            whole[source] = more[source.name] if source.name in more else getattr(candles, source.name)
    for number, block in enumerate(blocks(candles.time, timeframe, BLOCK, 0)):
        piece = {source: _with_before(column, block) for source, column in whole.items()}
        for group in groups.values():
            group.compute(piece, candles, number)
        yield block, piece


def _with_before(column: Floats, block: Block) -> Floats:
    if block.first:
        return column[block.first - 1 : block.end]
    return np.concatenate([[np.nan], column[: block.end]])


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

    name: str
    parameters: Mapping[str, float]
    blocks: list[Block]
    members: list[Value] = field(default_factory=list)
    last: dict[Value, float] = field(default_factory=dict)

    def __init__(self, value: Value, candles: Candles, timeframe: int) -> None:
        self.name, self.parameters = value.indicator, _named(value)
        self.blocks = blocks(candles.time, timeframe, BLOCK, _memory(value))
        self.members, self.last = [], {}

    def compute(self, piece: Piece, candles: Candles, number: int) -> None:
        block = self.blocks[number]
        outputs = compute(self.name, candles[block.lead : block.end], self.parameters)
        for value in self.members:
            column = np.empty(block.end - block.first + 1)
            column[1:] = outputs[value.output][block.first - block.lead :]
            # What the block before made of it, not what this one's lead does.
            column[0] = self.last.get(value, np.nan)
            self.last[value] = float(column[-1])
            piece[value] = column
