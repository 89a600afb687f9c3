"""The registry of bot kinds: one line each."""

from __future__ import annotations

from bots.kinds import grid
from bots.kinds.contract import Kind

KINDS: dict[str, Kind] = {kind.slug: kind for kind in (grid.KIND,)}
