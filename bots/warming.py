"""Machine code of the engine and the metrics, loaded before anybody waits for it; compiled where it is not on disk."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bots.engine.loop import advance_many, no_bar
from bots.engine.programs import signatures
from bots.engine.reactions import closed, react
from bots.engine.run import Engine
from bots.engine.simulate import NOTHING_SEEN, step
from bots.engine.types import TRADE, Terms
from bots.kinds import KINDS
from bots.performance import Curve, Trades, metrics
from markets.series import Candles
from orchestrator import kernels

BAR = Candles.from_rows([(0, 100.0, 101.0, 99.0, 100.0, 1.0)])
UNKNOWN = np.full(1, np.nan)


def compiles() -> bool:
    """False with NUMBA_DISABLE_JIT."""
    return hasattr(advance_many, "signatures")


def compile_all(folder: Path, processes: int) -> None:
    """Fill numba's cache at this folder, by several processes."""
    kernels.fill(folder, compile_part, len(parts()), processes)


def compile_part(number: int) -> None:
    for function, signature in parts()[number]:
        function.compile(signature)


def parts() -> list[list[tuple[Any, Any]]]:
    """Functions with their signatures: the loop, a quarter of all, then those of each kind, once where they are shared.

    With the signature itself, as bots/engine/programs.py has it: numba keeps what a tuple of types asked for apart.
    """
    *reactions, loop = signatures()
    kinds = {kind.on_fill: kind for kind in KINDS.values()}.values()
    functions = [(kind.on_start, kind.on_fill, kind.on_bar or no_bar) for kind in kinds]
    return [[(advance_many, loop)], *(list(zip(own, reactions, strict=True)) for own in functions)]


@cache
def load() -> int:
    """Lead every kind through a candle, in a backtest and live; returns how many kinds there are."""
    for kind in KINDS.values():
        terms = Terms(margin=kind.margin)
        params = kind.validate(kind.example, terms, 1000.0)
        columns = dict.fromkeys(kind.columns(params), UNKNOWN)
        seen = kind.observe(params, BAR, 60, columns) if kind.observe else NOTHING_SEEN
        engine = Engine.new(kind, params, terms, 1000.0)
        step(engine, BAR, seen)
        react(engine, closed(60_000, 100.0))
    metrics(Curve.of(BAR, np.array([1000.0]), 1000.0, 60), Trades.of(np.zeros(1, TRADE)))
    return len(KINDS)
