"""What a model is that predicts: a pure function of candles, the same however they are cut and without look-ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from markets.series import Candles, Column

Wanted: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Forecaster:
    """A model.

    predict(candles, timeframe in s, wanted): for each wanted candle (bool, shape (n,)) the probability, 0 to 1, that
    the close `horizon` candles later is higher, as it can be known at the candle's close; NaN for the others, and
    where it has too little to go by. Changing a later candle changes nothing, and a value does not depend on what is
    older than `lead` candles' time before its own.
    """

    slug: str
    label: str
    horizon: int
    lead: int
    predict: Callable[[Candles, int, Wanted], Column]
