"""Wanted against working: what to place, what to withdraw. Asking again changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bots.engine.types import ALARM, LIQUIDATION, NONE


def reconcile(wanted: np.ndarray[Any, Any], working: Collection[int]) -> tuple[np.ndarray[Any, Any], set[int]]:
    """(slots whose order is wanted and not working yet, sequences that work and are wanted no more).

    wanted: ORDER records; working: sequences, the orders' identity in their run. Alarms are no orders, held
    orders do not work.
    """
    kind = wanted["type"]
    real = np.flatnonzero((kind > NONE) & (kind != ALARM) & (kind != LIQUIDATION))
    missing = real[~np.isin(wanted["sequence"][real], list(working))]
    return missing, set(working) - set(wanted["sequence"][real].tolist())
