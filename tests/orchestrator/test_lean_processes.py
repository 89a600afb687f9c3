"""Event stream and beat carry neither the engine nor the pages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator.home import PROJECT

HEAVY = ("numba", "ccxt", "talib", "ninja", "bots.models", "markets.models")


@pytest.mark.parametrize(
    ("process", "loads"),
    [
        ("live", "import dashboard.live"),
        ("beat", "import django; django.setup(); import orchestrator.beat; import orchestrator.celery as c; "
                 "c.app.loader.import_default_modules()"),
    ],
)  # fmt: skip
def test_it_loads_what_it_needs_alone(process, loads):
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; {loads}; print(*sorted(sys.modules))"],
        cwd=PROJECT,
        env={**os.environ, "ORCHESTRATOR_PROCESS": process, "CELERY_SKIP_CHECKS": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert set(HEAVY) & set(found.stdout.split()) == set()
