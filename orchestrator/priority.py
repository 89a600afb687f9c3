"""What this process leaves to others when processors are short."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# A third of the share that a worker, the database and the event stream have.
NICE = 5
# Seconds that one thread may compute while another has its answer from the database and waits to go on: a query of
# 0.2 ms took 20 to 30 ms beside a page that is rendered, with Python's own 0.005.
SWITCH_SECONDS = 0.001
AUTOGROUP = Path("/proc/self/autogroup")


def pages_come_second() -> None:
    """Have this web process wait for what trades: a page may be late, an order not. Its threads give way sooner."""
    sys.setswitchinterval(SWITCH_SECONDS)
    os.nice(max(0, NICE - os.nice(0)))
    # Where Linux groups processes by session, it compares the groups alone. Only ours: a shell's group is not.
    if os.getsid(0) in (os.getpid(), os.getppid()):
        with contextlib.suppress(OSError):  # there are no groups, or another process of this one has just said the same
            AUTOGROUP.write_text(str(NICE))
