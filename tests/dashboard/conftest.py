from __future__ import annotations

import json
import re

import pytest
from django.contrib.staticfiles.finders import get_finders

from dashboard import page_versions
from tests.dashboard.cast import make_bot, make_market, make_user


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Pages are tested without collecting static files first; their hashed names are tested in the storage's test."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def one_minute(monkeypatch):
    """All happens within one minute of the pages' versions, however slow the machine is."""
    monkeypatch.setattr(page_versions, "MINUTE", 10**12)


@pytest.fixture
def owner(db):
    return make_user("owner")


@pytest.fixture
def stranger(db):
    return make_user("stranger")


@pytest.fixture
def market(db):
    return make_market()


@pytest.fixture
def bot(owner, market):
    return make_bot(owner, market)


@pytest.fixture
def page(client, owner):
    """GET as the owner; the answer with its text as .text_, in which white space counts once, as in a browser."""
    client.force_login(owner)

    def get(path, **headers):
        answer = client.get(path, headers=headers)
        answer.text_ = re.sub(r"[ \n]+", " ", answer.content.decode())
        return answer

    return get


@pytest.fixture
def collected(settings):
    """Static files are named as they lie in the sources: to compress them takes ten seconds."""
    names = {name: name for finder in get_finders() for name, _ in finder.list([])}
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    manifest.write_text(json.dumps({"version": "1.1", "paths": names, "hash": ""}))
    yield
    manifest.unlink()
