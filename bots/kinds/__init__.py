"""The registry of bot kinds: one line each."""

from __future__ import annotations

from bots.kinds import (
    accumulation,
    dca,
    futures_grid,
    futures_position,
    grid,
    infinity_grid,
    prediction,
    signal,
    trailing,
)
from bots.kinds.contract import Kind

KINDS: dict[str, Kind] = {
    kind.slug: kind
    for kind in (
        grid.KIND,
        infinity_grid.KIND,
        trailing.KIND,
        dca.KIND,
        accumulation.KIND,
        signal.KIND,
        prediction.KIND,
        futures_grid.KIND,
        futures_position.KIND,
    )
}
