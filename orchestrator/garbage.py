"""Python's collector of garbage in processes that answer people."""

from __future__ import annotations

import gc


def freeze() -> None:
    """Leave what was loaded by now out of all searches to come: it is never garbage, and to walk it stops every thread.

    Modules and their tables are some hundred thousand objects: a full search takes a tenth of a second or two.
    """
    gc.collect()
    gc.freeze()
