"""INDICATORS: name -> what it is and how it is computed, through TA-Lib. Pure: columns in, columns out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np

from markets import formulas
from markets.formulas import Function, Parameters
from markets.series import Candles, Column

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


_PRICES = ("high", "low", "close")
INDICATORS: dict[str, Indicator] = {
    "sma": Indicator("SMA 20", ("close",), formulas.sma, {"period": 20}, 19, "price", ("sma",), formulas.window),
    "ema": Indicator(
        "EMA 20", ("close",), formulas.ema, {"period": 20}, 19, "price", ("ema",), formulas.exponential, recursive=True
    ),
    "wma": Indicator("WMA 20", ("close",), formulas.wma, {"period": 20}, 19, "price", ("wma",), formulas.window),
    "bollinger": Indicator(
        "Bollinger 20, 2",
        ("close",),
        formulas.bollinger,
        {"period": 20, "deviations": 2.0},
        19,
        "price",
        ("upper", "middle", "lower"),
        formulas.window,
    ),
    "rsi": Indicator(
        "RSI 14", ("close",), formulas.rsi, {"period": 14}, 14, "own", ("rsi",), formulas.wilder, recursive=True
    ),
    "macd": Indicator(
        "MACD 12, 26, 9",
        ("close",),
        formulas.macd,
        {"fast": 12, "slow": 26, "signal": 9},
        33,
        "own",
        ("macd", "signal", "histogram"),
        formulas.macd_memory,
        recursive=True,
    ),
    "atr": Indicator(
        "ATR 14", _PRICES, formulas.atr, {"period": 14}, 14, "own", ("atr",), formulas.wilder, recursive=True
    ),
    "adx": Indicator(
        "ADX 14",
        _PRICES,
        formulas.adx,
        {"period": 14},
        27,
        "own",
        ("adx", "plus_di", "minus_di"),
        formulas.double_wilder,
        recursive=True,
    ),
    "stochastic": Indicator(
        "Stochastic 14, 3, 3",
        _PRICES,
        formulas.stochastic,
        {"period": 14, "smooth": 3, "signal": 3},
        17,
        "own",
        ("k", "d"),
        formulas.all_windows,
    ),
    "cci": Indicator("CCI 20", _PRICES, formulas.cci, {"period": 20}, 19, "own", ("cci",), formulas.window),
    "obv": Indicator(
        "OBV 100", ("close", "volume"), formulas.obv, {"period": 100}, 100, "own", ("obv",), formulas.moves
    ),
    "vwap": Indicator(
        "VWAP 24", (*_PRICES, "volume"), formulas.vwap, {"period": 24}, 23, "price", ("vwap",), formulas.window
    ),
    "donchian": Indicator(
        "Donchian 20",
        ("high", "low"),
        formulas.donchian,
        {"period": 20},
        19,
        "price",
        ("upper", "middle", "lower"),
        formulas.window,
    ),
    "keltner": Indicator(
        "Keltner 20, 10, 2",
        _PRICES,
        formulas.keltner,
        {"period": 20, "atr_period": 10, "multiplier": 2.0},
        19,
        "price",
        ("upper", "middle", "lower"),
        formulas.keltner_memory,
        recursive=True,
    ),
    "supertrend": Indicator(
        "Supertrend 10, 3",
        _PRICES,
        formulas.supertrend,
        {"period": 10, "multiplier": 3.0},
        10,
        "price",
        ("supertrend",),
        formulas.supertrend_memory,
        recursive=True,
    ),
    "ichimoku": Indicator(
        "Ichimoku 9, 26, 52",
        ("high", "low"),
        formulas.ichimoku,
        {"conversion": 9, "base": 26, "span": 52},
        76,
        "price",
        ("conversion", "base", "span_a", "span_b"),
        formulas.ichimoku_memory,
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
    chosen = indicator(name)
    columns = tuple(getattr(candles, column) for column in chosen.inputs)
    return Bound(chosen.outputs, columns, _usual(name) if parameters is None else _given(name, parameters))


@cache
def _usual(name: str) -> Function:
    return _given(name, {})


@cache
def _talib() -> ModuleType:
    """Only for those who compute: 0.4 s.

    It takes pandas' and polars' series where they are installed, for 30 MB and as long again, and nobody here has any.
    """
    absent = {"pandas", "polars"} - sys.modules.keys()
    cast("dict[str, Any]", sys.modules).update(dict.fromkeys(absent))
    try:
        return import_module("talib")
    finally:
        for name in absent:
            del sys.modules[name]


def _given(name: str, given: Parameters) -> Function:
    """Of an indicator there is. Raises ValueError for an unknown parameter."""
    chosen = INDICATORS[name]
    unknown = sorted(set(given) - set(chosen.defaults))
    if unknown:
        raise ValueError(f"{name} takes {', '.join(chosen.defaults)}, not {', '.join(unknown)}.")
    return chosen.function(_talib(), {**chosen.defaults, **given})


def compute(name: str, candles: Candles, parameters: Parameters | None = None) -> dict[str, Column]:
    """Output name -> column as long as the candles, NaN while warming up. Raises ValueError as bound() does."""
    chosen = bound(name, candles, parameters)
    return dict(zip(chosen.outputs, chosen.over(0, len(candles)), strict=True))
