"""Saved states of earlier versions: read by the names of their fields, so that an upgrade loses no run."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bots.engine.types import ORDER, RUN, STATE_VERSION

Records = np.ndarray[Any, Any]


def _without(dtype: np.dtype[Any], *names: str) -> np.dtype[Any]:
    """The same layout without some fields."""
    kept = [(name, dtype[name]) for name in dtype.names or () if name not in names]
    return np.dtype(kept, align=True)


# Version -> (RUN, ORDER).
LAYOUTS: Final = {
    1: (_without(RUN, "funding", "held_until", "day_end", "day_equity", "peak"), _without(ORDER, "cost")),
    STATE_VERSION: (RUN, ORDER),
}


def read_state(run: bytes, orders: bytes, slots: int) -> tuple[Records, Records]:
    """(RUN shape (1,), ORDER shape (slots,)) of saved bytes, fields that are new since then being 0.

    Raises ValueError when they have no layout that was ever saved, or hold fewer or more slots.
    """
    version = int(np.frombuffer(run[:8], "i8")[0]) if len(run) >= 8 else 0
    if version not in LAYOUTS:
        raise ValueError(f"saved state has version {version}, not one of {', '.join(map(str, LAYOUTS))}")
    run_dtype, order_dtype = LAYOUTS[version]
    if len(run) != run_dtype.itemsize or len(orders) != slots * order_dtype.itemsize:
        raise ValueError(
            f"saved state has {len(run)} + {len(orders)} bytes, not {run_dtype.itemsize} + "
            f"{slots * order_dtype.itemsize}"
        )
    state, wanted = (
        _renamed(np.frombuffer(bytearray(raw), old), new)
        for raw, old, new in ((run, run_dtype, RUN), (orders, order_dtype, ORDER))
    )
    state["version"] = STATE_VERSION
    return state, wanted


def _renamed(records: Records, dtype: np.dtype[Any]) -> Records:
    """The same records in a layout with more fields."""
    if records.dtype == dtype:
        return records
    wider = np.zeros(len(records), dtype)
    for name in records.dtype.names or ():
        wider[name] = records[name]
    return wider
