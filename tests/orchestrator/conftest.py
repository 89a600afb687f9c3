from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model


@pytest.fixture
def own_home(monkeypatch, tmp_path):
    """A home of the test's own, with no server named by any variable."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder))
    for variable in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(variable)
    return folder


@pytest.fixture
def owner(db):
    return get_user_model().objects.create_user("owner", password="secret")
