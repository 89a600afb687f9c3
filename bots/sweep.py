"""Many parameter sets of one kind over one series: what each came to, nothing else kept. Pure.

Every set goes through the engine as a backtest does, so its figures are a backtest's to the bit. What makes a sweep
cheap: indicators are computed once for all sets, the memory of one run serves the next, and threads share the work,
as the compiled loop holds no lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from threading import Lock
from typing import Any, Final

from bots.engine.run import NO_LIMITS, Engine
from bots.engine.simulate import NO_FUNDING, NOTHING_SEEN, Buffers, Funding, Stretch, lead_through
from bots.engine.types import Limits, Terms
from bots.kinds.contract import Kind
from bots.kinds.parameters import LONGEST_TEXT, ParamsError
from bots.performance.curve import Curve, falls
from bots.rules.kept import Kept
from markets.series import Candles, Column

MOST: Final = 100_000  # sets


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
    chosen = [kind.validate(raw, terms, allocation) for raw in sets]
    shared = replace(series, columns=Kept(series.columns, Lock()))
    # The first one alone: machine code is loaded once, and not by two at a time.
    first = _lead(kind, chosen[:1], terms, allocation, shared, limits)
    with ThreadPoolExecutor(threads) as pool:
        # Dealt out like cards: neighbours, which share indicators, are led at the same time.
        parts = [chosen[1 + thread :: threads] for thread in range(threads)]
        work = [pool.submit(_lead, kind, part, terms, allocation, shared, limits) for part in parts]
        found = [iter(part.result()) for part in work]
    figures = first + [next(found[index % threads]) for index in range(len(sets) - 1)]
    return [Result(raw, *row) for raw, row in zip(sets, figures, strict=True)]


def _lead(
    kind: Kind, chosen: Sequence[Any], terms: Terms, allocation: float, series: Series, limits: Limits
) -> list[tuple[int, float, float]]:
    """(trades, final equity, maximum drawdown) of each set; all of them use the same memory."""
    candles, buffers, before = series.candles, Buffers(), len(series.lead)
    shown = Candles.joined([series.lead, candles]) if before else candles
    found = []
    for params in chosen:
        engine, seen = Engine.new(kind, params, terms, allocation, limits), NOTHING_SEEN
        if kind.observe:
            seen = kind.observe(params, shown, series.timeframe, series.columns)[before:]
        equity = lead_through(engine, Stretch(candles, seen, series.funding), buffers)
        depth = falls(Curve.of(candles, equity, allocation, series.timeframe))["depth"]
        found.append((int(engine.run["fills"][0]), float(equity[-1]), float(depth)))
    return found
