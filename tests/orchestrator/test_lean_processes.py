"""Event stream and beat carry neither the engine nor the pages, and their parent not even the apps."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator.home import PROJECT

HEAVY = ("numba", "ccxt", "talib", "ninja", "bots.models", "markets.models")
APPS = ("celery", "kombu", "redis", "psycopg", "django.db", "django.http", *HEAVY)


@pytest.mark.parametrize(
    ("process", "loads", "without"),
    [
        ("", "import orchestrator.quickstart; from django.conf import settings; settings.HOST", APPS),
        ("live", "import dashboard.live", HEAVY),
        ("beat", "import django; django.setup(); import orchestrator.beat; import orchestrator.celery as c; "
                 "c.app.loader.import_default_modules()", HEAVY),
    ],
)  # fmt: skip
def test_it_loads_what_it_needs_alone(process, loads, without):
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
    assert set(without) & set(found.stdout.split()) == set()
