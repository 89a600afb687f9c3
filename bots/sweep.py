"""Many parameter sets of one kind over one series: what each came to, nothing else kept. Pure.

Every set goes through the engine as a backtest does, so its figures are a backtest's to the bit. What makes a sweep
cheap: indicators are computed once for all sets, runs go abreast through candles that stay in the processor's cache,
their equity is looked at while it is there, and threads share the work, as the compiled loop holds no lock. The series
is led through in parts, so that the indicators of one are all that is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from math import prod
from threading import Lock
from typing import Any, Final, TypeAlias

import numpy as np

from bots.engine.run import NO_LIMITS, Engine
from bots.engine.simulate import NO_FUNDING, NOTHING_SEEN, Abreast, Buffers, Funding
from bots.engine.types import Limits, Terms
from bots.kinds.contract import Kind
from bots.kinds.parameters import LONGEST_TEXT, ParamsError
from bots.performance.curve import Depths
from bots.rules.kept import Kept
from markets.series import Candles, Column

MOST: Final = 100_000  # sets
TOGETHER: Final = 4_096  # sets whose runs are in memory at once
ABREAST: Final = 16  # runs: a piece of all their equity curves fits into the processor's cache
PART: Final = 150_000  # bars, about
# Trades, final equity, maximum drawdown.
Figures: TypeAlias = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Result:
    """What a parameter set came to. final_equity: quote; max_drawdown: fraction, 0 or below, as metrics() has it."""

    params: Mapping[str, Any]
    trades: int
    final_equity: float
    max_drawdown: float


@dataclass(frozen=True, slots=True)
class Series:
    """What every set is led through.

    timeframe: seconds; lead: candles before the first, which kinds are shown; columns: further ones that they read,
    aligned with the candles of the lead and the others.
    """

    candles: Candles
    timeframe: int
    columns: Mapping[str, Column]
    funding: Funding = NO_FUNDING
    lead: Candles = field(default_factory=Candles.empty)


def combinations(
    kind: Kind, params: Mapping[str, Any], grid: Mapping[str, Any], most: int = MOST
) -> list[dict[str, Any]]:
    """All ways to choose one value from each list of the grid, beside params.

    A name of the grid is a parameter, or stands in braces in the texts of params: "sma({fast}) > sma({slow})".
    Raises ParamsError.
    """
    problems = {name: problem for name in grid if (problem := _problem(kind, params, name, grid[name]))}
    count = 0 if problems else prod(len(values) for values in grid.values())
    if count > most:
        problems["grid"] = f"grid must make at most {most:,} combinations, not {count:,}."
    if problems:
        raise ParamsError(problems)
    return [_filled(params, dict(zip(grid, chosen, strict=True))) for chosen in product(*grid.values())]


def _problem(kind: Kind, params: Mapping[str, Any], name: str, values: Any) -> str | None:
    if not isinstance(values, list) or not values:
        return f"{name} of the grid must be a list of values, not {values!r}."
    known = name in {parameter.name for parameter in kind.parameters()}
    if not known and not any(f"{{{name}}}" in value for value in params.values() if isinstance(value, str)):
        return f"{name} of the grid must be a parameter of the {kind.slug} kind, or stand as {{{name}}} in one."
    return None


def _filled(params: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ParamsError: a long text is not made as often as there are combinations.

    Places are looked for in the texts as they were given: values that hold places would make them grow without end.
    """
    place = re.compile("|".join(re.escape(f"{{{name}}}") for name in chosen) or "(?!)")
    texts = {name: text for name, text in params.items() if isinstance(text, str) and place.search(text)}
    filled = {name: place.sub(lambda found: str(chosen[found[0][1:-1]]), text) for name, text in texts.items()}
    for name, text in filled.items():
        if len(text) > LONGEST_TEXT:
            raise ParamsError({name: f"{name} must be at most {LONGEST_TEXT} characters long, not {len(text)}."})
    placed = {found for text in texts.values() for found in place.findall(text)}
    return {**params, **filled} | {name: value for name, value in chosen.items() if f"{{{name}}}" not in placed}


def sweep(
    kind: Kind,
    sets: Sequence[Mapping[str, Any]],
    terms: Terms,
    allocation: float,
    series: Series,
    limits: Limits = NO_LIMITS,
    threads: int = 2,
) -> list[Result]:
    """A result for each set, in their order. Raises ParamsError for the first set that makes no sense, ValueError."""
    if not len(series.candles):
        raise ValueError("candles must be at least one, not 0.")
    chosen = [kind.validate(raw, terms, allocation) for raw in sets]
    # Machine code is loaded by one thread, and not by two at a time.
    _lead(
        [_Share([Engine.new(kind, one, terms, allocation, limits) for one in chosen[:1]], allocation)], _first(series)
    )
    figures: list[Figures] = []
    for begin in range(0, len(chosen), TOGETHER):
        engines = [Engine.new(kind, one, terms, allocation, limits) for one in chosen[begin : begin + TOGETHER]]
        # Dealt out like cards: neighbours, which take about as long, go to different threads.
        shares = [_Share(engines[thread::threads], allocation) for thread in range(min(threads, len(engines)))]
        _lead(shares, series)
        found = [iter(share.figures()) for share in shares]
        figures += [next(found[index % threads]) for index in range(len(engines))]
    return [Result(raw, *row) for raw, row in zip(sets, figures, strict=True)]


def _first(series: Series) -> Series:
    """The first candle alone."""
    columns = {name: column[: len(series.lead) + 1] for name, column in series.columns.items()}
    return replace(series, candles=series.candles[:1], columns=columns)


def _lead(shares: Sequence[_Share], series: Series) -> None:
    """Lead all through the series, a part after the other: the indicators of one are all that is in memory."""
    whole = Candles.joined([series.lead, series.candles]) if len(series.lead) else series.candles
    lead = max((share.needs(series.timeframe) for share in shares), default=0)
    parts = max(1, len(series.candles) // max(PART, 4 * lead))
    edges = np.linspace(len(series.lead), len(whole), 1 + parts).astype(int).tolist()
    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        for begin, end in pairwise(edges):
            part = _Part.of(series, whole, begin, end, lead)
            for led in [pool.submit(share.lead, part) for share in shares]:
                led.result()


@dataclass(frozen=True, slots=True)
class _Part:
    """Some candles of a series. shown: those that kinds are shown, `before` of them before the first that counts."""

    shown: Candles
    before: int
    timeframe: int
    columns: Kept
    funding: Funding

    @classmethod
    def of(cls, series: Series, whole: Candles, begin: int, end: int, lead: int) -> _Part:
        """The rows from `begin` to `end` of whole, the candles of the series with those of its lead."""
        rows = slice(max(begin - lead, 0), end)
        columns = Kept({name: column[rows] for name, column in series.columns.items()}, Lock())
        return cls(whole[rows], begin - rows.start, series.timeframe, columns, series.funding)


class _Share:
    """Runs that one thread leads, some of them abreast, and others after those."""

    def __init__(self, engines: Sequence[Engine], allocation: float) -> None:
        rows = [engines[at : at + ABREAST] for at in range(0, len(engines), ABREAST)]
        self._rows = [_Row(row, allocation) for row in rows]
        self._buffers = Buffers()

    def needs(self, timeframe: int) -> int:
        """How many candles must be shown before the first of a part."""
        return max((row.needs(timeframe) for row in self._rows), default=0)

    def lead(self, part: _Part) -> None:
        for row in self._rows:
            row.lead(part, self._buffers)

    def figures(self) -> list[Figures]:
        return [figures for row in self._rows for figures in row.figures()]


class _Row:
    """Runs that are led abreast, and what they have come to."""

    def __init__(self, engines: Sequence[Engine], allocation: float) -> None:
        self._kind, self._params = engines[0].kind, [engine.params for engine in engines]
        self._abreast, self._depths = Abreast(engines), Depths(len(engines), allocation)
        self._equity = np.full(len(engines), allocation)

    def needs(self, timeframe: int) -> int:
        lead = self._kind.lead
        return max(lead(params, timeframe) for params in self._params) if lead else 0

    def lead(self, part: _Part, buffers: Buffers) -> None:
        """Lead them through the candles. Raises ValueError."""
        observe, seen = self._kind.observe, [NOTHING_SEEN] * len(self._params)
        if observe:
            whole = (observe(params, part.shown, part.timeframe, part.columns) for params in self._params)
            seen = [one[part.before :] for one in whole]
        candles = part.shown[part.before :]
        for curves, bars in self._abreast.through(candles, seen, part.funding, buffers):
            self._depths.add(curves, bars)
            self._equity = curves[:, bars - 1].copy()

    def figures(self) -> list[Figures]:
        fills, depths = self._abreast.runs["fills"], self._depths.deepest()
        return list(zip(fills.tolist(), self._equity.tolist(), depths.tolist(), strict=True))
