"""Compiled programs, from a cold start."""

from __future__ import annotations

import os
import subprocess
import sys

from orchestrator import home

THREADS = """
import threading
from bots.engine.programs import program
from bots.kinds import KINDS
faults, together = [], threading.Barrier(4)

def work(slug):
    together.wait()
    try:
        program(KINDS[slug])
    except Exception as error:
        faults.append(error)

threads = [threading.Thread(target=work, args=[slug]) for slug in ("grid", "dca", "trailing", "grid")]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(faults)
"""


def test_threads_that_come_at_once_all_get_their_program():
    """Compiled by the other tests before or not: what numba finds on the disk it loads as if it compiled it."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], cwd=home.PROJECT, env=dict(os.environ), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
