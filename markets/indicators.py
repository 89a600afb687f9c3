"""INDICATORS: name -> what it is and how it is computed, through TA-Lib. Pure: columns in, columns out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from markets.series import Candles, Column

Parameters = Mapping[str, float]
Function = Callable[[Any, Candles, Parameters], tuple[Column, ...]]
SHORTEST, LONGEST = 2, 5000  # bounds of a count of candles
LARGEST = 100.0  # of other parameters


@dataclass(frozen=True, slots=True)
class Indicator:
    """function: (talib, candles, parameters) -> a column an output, NaN while warming up.

    warm_up: candles before the first value, with the defaults; pane: drawn over the prices or in a pane of its own;
    memory: parameters -> candles before its own that a value depends on by more than 1e-9 of it;
    recursive: every value depends on all candles before it, ever less.
    """

    label: str
    function: Function
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


def _sma(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    return (talib.SMA(candles.close, int(p["period"])),)


def _ema(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    return (talib.EMA(candles.close, int(p["period"])),)


def _rsi(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    return (talib.RSI(candles.close, int(p["period"])),)


def _macd(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    macd, signal, histogram = talib.MACD(candles.close, int(p["fast"]), int(p["slow"]), int(p["signal"]))
    return macd, signal, histogram


def _bollinger(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    upper, middle, lower = talib.BBANDS(candles.close, int(p["period"]), p["deviations"], p["deviations"])
    return upper, middle, lower


def _atr(talib: Any, candles: Candles, p: Parameters) -> tuple[Column, ...]:
    return (talib.ATR(candles.high, candles.low, candles.close, int(p["period"])),)


INDICATORS: dict[str, Indicator] = {
    "sma": Indicator("SMA 20", _sma, {"period": 20}, 19, "price", ("sma",), _window),
    "ema": Indicator("EMA 20", _ema, {"period": 20}, 19, "price", ("ema",), _exponential, recursive=True),
    "bollinger": Indicator(
        "Bollinger 20, 2",
        _bollinger,
        {"period": 20, "deviations": 2.0},
        19,
        "price",
        ("upper", "middle", "lower"),
        _window,
    ),
    "rsi": Indicator("RSI 14", _rsi, {"period": 14}, 14, "own", ("rsi",), _wilder, recursive=True),
    "macd": Indicator(
        "MACD 12, 26, 9",
        _macd,
        {"fast": 12, "slow": 26, "signal": 9},
        33,
        "own",
        ("macd", "signal", "histogram"),
        _macd_memory,
        recursive=True,
    ),
    "atr": Indicator("ATR 14", _atr, {"period": 14}, 14, "own", ("atr",), _wilder, recursive=True),
}


def indicator(name: str) -> Indicator:
    """Raises ValueError with the names there are."""
    try:
        return INDICATORS[name]
    except KeyError:
        raise ValueError(f"indicator must be one of {', '.join(INDICATORS)}, not {name!r}.") from None


def bound(name: str, parameters: Parameters | None = None) -> Callable[[Candles], dict[str, Column]]:
    """What computes an indicator: candles -> output name -> column as long as they are, NaN while warming up.

    parameters override the defaults. Raises ValueError for an unknown indicator or parameter.
    """
    import talib  # 0.4 s: only for those who compute

    chosen = indicator(name)
    given = parameters or {}
    unknown = sorted(set(given) - set(chosen.defaults))
    if unknown:
        raise ValueError(f"{name} takes {', '.join(chosen.defaults)}, not {', '.join(unknown)}.")
    return partial(_computed, chosen, talib, {**chosen.defaults, **given})


def _computed(chosen: Indicator, talib: Any, parameters: Parameters, candles: Candles) -> dict[str, Column]:
    if not len(candles):
        return {output: np.empty(0) for output in chosen.outputs}
    return dict(zip(chosen.outputs, chosen.function(talib, candles, parameters), strict=True))


def compute(name: str, candles: Candles, parameters: Parameters | None = None) -> dict[str, Column]:
    """Output name -> column as long as the candles, NaN while warming up. Raises ValueError as bound() does."""
    return bound(name, parameters)(candles)
