from __future__ import annotations

import pytest

from orchestrator.observability import findings


@pytest.fixture(autouse=True)
def nothing_reported_yet(monkeypatch):
    monkeypatch.setattr(findings, "_last", type(findings._last)())
