"""Wanted against working: what to place, what to withdraw. Asking again changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bots.engine.types import ALARM, LIQUIDATION, NONE


def reconcile(wanted: np.ndarray[Any, Any], working: Collection[int]) -> tuple[list[int], set[int]]:
    """(slots whose order is wanted and not working yet, sequences that work and are wanted no more).

    wanted: ORDER records; working: sequences, the orders' identity in their run. Alarms are no orders, held
    orders do not work.
    """
    kind = wanted["type"]
    real = np.flatnonzero((kind > NONE) & (kind != ALARM) & (kind != LIQUIDATION))
    # A few dozen: sets are much quicker than numpy's.
    slots = dict(zip(wanted["sequence"][real].tolist(), real.tolist(), strict=True))
    works = set(working)
    return [slot for sequence, slot in slots.items() if sequence not in works], works - slots.keys()
