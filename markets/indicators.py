"""INDICATORS: name -> what it is and how it is computed, through TA-Lib. Pure: columns in, columns out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import unwrap
from typing import Any, Literal

import numpy as np

from markets.series import Candles, Column

Parameters = Mapping[str, float]
# Columns of candles -> a column an output; a single one may stand for itself.
Function = Callable[..., Any]
SHORTEST, LONGEST = 2, 5000  # bounds of a count of candles
LARGEST = 100.0  # of other parameters


@dataclass(frozen=True, slots=True)
class Indicator:
    """function: (talib, parameters) -> what computes the outputs of `inputs`, columns of candles; NaN while warming up.

    warm_up: candles before the first value, with the defaults; pane: drawn over the prices or in a pane of its own;
    memory: parameters -> candles before its own that a value depends on by more than 1e-9 of it;
    recursive: every value depends on all candles before it, ever less.
    """

    label: str
    inputs: tuple[str, ...]
    function: Callable[[Any, Parameters], Function]
    defaults: Mapping[str, float]
    warm_up: int
    pane: Literal["price", "own"]
    outputs: tuple[str, ...]
    memory: Callable[[Parameters], int]
    recursive: bool = False

    def parameters(self, values: Sequence[float]) -> dict[str, float]:
        """Values in the declared order -> all parameters by name. Raises ValueError with a sentence."""
        if len(values) > len(self.defaults):
            raise ValueError(f"takes at most {', '.join(self.defaults)}, not {len(values)} numbers.")
        given = {**self.defaults, **dict(zip(self.defaults, values, strict=False))}
        for name, value in given.items():
            _check_bounds(name, value, self.defaults[name])
        return given


def _check_bounds(name: str, value: float, default: float) -> None:
    """A parameter with a whole default is a count of candles."""
    if isinstance(default, int):
        if not SHORTEST <= value <= LONGEST or value != int(value):
            raise ValueError(f"needs a {name} that is a whole number from {SHORTEST} to {LONGEST}, not {value:.15g}.")
    elif not 0 < value <= LARGEST:
        raise ValueError(f"needs {name} above 0 and at most {LARGEST}, not {value:.15g}.")


def _window(p: Parameters) -> int:
    """Of a function of the last `period` candles."""
    return int(p["period"])


def _exponential(p: Parameters) -> int:
    """(1 - 2 / (n + 1))^k is below 1e-9 from k = 10.4 n on; n more for the mean that it starts from."""
    return 12 * int(p["period"])


def _wilder(p: Parameters) -> int:
    """(1 - 1 / n)^k is below 1e-9 from k = 20.8 n on; n more for the mean that it starts from."""
    return 22 * int(p["period"])


def _macd_memory(p: Parameters) -> int:
    """An average of an average."""
    return 12 * int(max(p["fast"], p["slow"]) + p["signal"])


# What TA-Lib wraps around its functions asks every argument whether it is pandas': that takes as long as an average of
# a thousand candles.
def _sma(talib: Any, p: Parameters) -> Function:
    return partial(unwrap(talib.SMA), timeperiod=int(p["period"]))


def _ema(talib: Any, p: Parameters) -> Function:
    return partial(unwrap(talib.EMA), timeperiod=int(p["period"]))


def _rsi(talib: Any, p: Parameters) -> Function:
    return partial(unwrap(talib.RSI), timeperiod=int(p["period"]))


def _macd(talib: Any, p: Parameters) -> Function:
    periods = {"fastperiod": int(p["fast"]), "slowperiod": int(p["slow"]), "signalperiod": int(p["signal"])}
    return partial(unwrap(talib.MACD), **periods)


def _bollinger(talib: Any, p: Parameters) -> Function:
    width = p["deviations"]
    return partial(unwrap(talib.BBANDS), timeperiod=int(p["period"]), nbdevup=width, nbdevdn=width)


def _atr(talib: Any, p: Parameters) -> Function:
    return partial(unwrap(talib.ATR), timeperiod=int(p["period"]))


INDICATORS: dict[str, Indicator] = {
    "sma": Indicator("SMA 20", ("close",), _sma, {"period": 20}, 19, "price", ("sma",), _window),
    "ema": Indicator("EMA 20", ("close",), _ema, {"period": 20}, 19, "price", ("ema",), _exponential, recursive=True),
    "bollinger": Indicator(
        "Bollinger 20, 2",
        ("close",),
        _bollinger,
        {"period": 20, "deviations": 2.0},
        19,
        "price",
        ("upper", "middle", "lower"),
        _window,
    ),
    "rsi": Indicator("RSI 14", ("close",), _rsi, {"period": 14}, 14, "own", ("rsi",), _wilder, recursive=True),
    "macd": Indicator(
        "MACD 12, 26, 9",
        ("close",),
        _macd,
        {"fast": 12, "slow": 26, "signal": 9},
        33,
        "own",
        ("macd", "signal", "histogram"),
        _macd_memory,
        recursive=True,
    ),
    "atr": Indicator(
        "ATR 14", ("high", "low", "close"), _atr, {"period": 14}, 14, "own", ("atr",), _wilder, recursive=True
    ),
}


def indicator(name: str) -> Indicator:
    """Raises ValueError with the names there are."""
    try:
        return INDICATORS[name]
    except KeyError:
        raise ValueError(f"indicator must be one of {', '.join(INDICATORS)}, not {name!r}.") from None


@dataclass(frozen=True, slots=True)
class Bound:
    """An indicator with its parameters, over columns of candles."""

    outputs: tuple[str, ...]
    columns: tuple[Column, ...]
    function: Function

    def over(self, first: int, end: int) -> tuple[Column, ...]:
        """A column an output of the rows from first to end, as if there were no others; NaN while warming up."""
        if first == end:
            return tuple(np.empty(0) for _ in self.outputs)
        found = self.function(*[column[first:end] for column in self.columns])
        return found if isinstance(found, tuple) else (found,)


def bound(name: str, candles: Candles, parameters: Parameters | None = None) -> Bound:
    """An indicator over candles. parameters override the defaults.

    Raises ValueError for an unknown indicator or parameter.
    """
    import talib  # 0.4 s: only for those who compute

    chosen = indicator(name)
    given = parameters or {}
    unknown = sorted(set(given) - set(chosen.defaults))
    if unknown:
        raise ValueError(f"{name} takes {', '.join(chosen.defaults)}, not {', '.join(unknown)}.")
    columns = tuple(getattr(candles, column) for column in chosen.inputs)
    return Bound(chosen.outputs, columns, chosen.function(talib, {**chosen.defaults, **given}))


def compute(name: str, candles: Candles, parameters: Parameters | None = None) -> dict[str, Column]:
    """Output name -> column as long as the candles, NaN while warming up. Raises ValueError as bound() does."""
    chosen = bound(name, candles, parameters)
    return dict(zip(chosen.outputs, chosen.over(0, len(candles)), strict=True))
