"""A web process gives way to what trades; a shell that started it does not."""

from __future__ import annotations

import os
import subprocess
import sys

from orchestrator import priority
from orchestrator.home import PROJECT

SAY = """
import os, sys
from orchestrator import priority
for _ in range(2):
    priority.pages_come_second()
group = priority.AUTOGROUP.read_text().split()[-1] if priority.AUTOGROUP.exists() else str(priority.NICE)
print(os.nice(0), sys.getswitchinterval(), group)
"""
# As granian's workers are started, and as from a shell that leads the session.
AS_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SAY!r}], check=True)"
AS_GRANDCHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {AS_CHILD!r}], check=True)"


def said(program):
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )  # fmt: skip
    nice, seconds, group = found.stdout.split()
    return int(nice), float(seconds), int(group)


def test_a_web_process_takes_a_smaller_share_and_hands_over_sooner():
    expected = max(priority.NICE, os.nice(0))
    assert said(AS_CHILD) == (expected, priority.SWITCH_SECONDS, priority.NICE)


def test_the_session_of_a_shell_keeps_its_share():
    expected = 0 if priority.AUTOGROUP.exists() else priority.NICE
    assert said(AS_GRANDCHILD)[2] == expected
